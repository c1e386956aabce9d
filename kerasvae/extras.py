"""Packages that only some uses need: whether they are there, and how to get them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence


def require(use: str, packages: Sequence[str], extra: str | None = None, *, checkout: str | None = None) -> None:
    """Check that all packages of a use can be imported.

    Args:
        use: what needs them, the beginning of the message.
        packages: names of modules, which are also names of distributions (with dashes for underscores).
        extra: the extra of kerasvae that brings them, if one does.
        checkout: the command that brings them in a checkout of the project. Default: pip with the extra.

    Raises:
        ImportError: naming all that is missing with a command that brings it, or a package that is there and broken.
            The command names the packages themselves, so that it works however kerasvae was installed: no index has
            kerasvae, whose extras pip finds in a checkout alone.
    """
    missing = []
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            if _is_there(package):
                raise ImportError(f"{use} needs {package}, which is there but cannot be imported: {error}") from error
            missing.append(package.replace("_", "-"))
    if not missing:
        return
    *others, last = missing
    listed, verb = (f"{', '.join(others)} and {last}", "are") if others else (last, "is")
    message = f"{use} needs {listed}, which {verb} not installed: pip install {' '.join(missing)}"
    if checkout is None and extra is not None:
        checkout = f"pip install -e '.[{extra}]'"
    raise ImportError(message if checkout is None else f"{message}; or, in a checkout of kerasvae: {checkout}")


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
