"""`python -m kerasvae.serving.verify FOLDER`: does a bundle stand by itself? Exit status 0 or 1, and one line."""

from __future__ import annotations

import sys

from kerasvae.serving.bundle import Bundle
from kerasvae.serving.manifest import ENCODER, BundleError, read_manifest

NOT_NEEDED = ("keras", "tensorflow", "jax", "torch")


def verify(folder) -> str:
    """Check a bundle's files, and open it and run its test if it has ONNX networks.

    Returns:
        What was found, one line.

    Raises:
        BundleError: with the reason when it does not pass.
    """
    manifest = read_manifest(folder)
    if ENCODER not in manifest.content["files"]:
        return f"{folder}: all files are as stated; there is no {ENCODER} to run"
    differences = Bundle(folder).test()
    return f"{folder}: all files are as stated, and the test passes; largest differences: " + ", ".join(
        f"{name} {difference:.2g}" for name, difference in differences.items()
    )


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m kerasvae.serving.verify FOLDER", file=sys.stderr)
        return 2
    try:
        line = verify(arguments[0])
    except (BundleError, ImportError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    if loaded := [name for name in NOT_NEEDED if name in sys.modules]:
        print(f"{arguments[0]}: opening it imported {', '.join(loaded)}, which it must do without", file=sys.stderr)
        return 1
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
