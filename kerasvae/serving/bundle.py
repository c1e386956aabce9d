"""A bundle, opened: images to codes, codes to images."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from kerasvae.checks import check_choice, check_integer, is_integer
from kerasvae.extras import require
from kerasvae.files import checked_path
from kerasvae.serving.fields import BundleError
from kerasvae.serving.images import LARGEST_PIXEL_LIMIT, PIXEL_LIMIT, Preparation
from kerasvae.serving.manifest import DECODER, ENCODER, read_manifest
from kerasvae.serving.onnx_files import external_tensor

_ONNX_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


@dataclass(frozen=True)
class Codes:
    """Posteriors of images.

    Attributes:
        mean, logvar: float32 (n, latents).
        outside: bool (n, latents): whether the mean is outside the range in which nearly all the training data's are
            (`Bundle.quantile_range`); None when the bundle was written without data.
    """

    mean: np.ndarray
    logvar: np.ndarray
    outside: np.ndarray | None

    @property
    def any_outside(self) -> np.ndarray | None:
        """bool (n,): whether any latent of an image is outside; None when the bundle was written without data."""
        return None if self.outside is None else self.outside.any(axis=1)

    def __len__(self) -> int:
        return len(self.mean)


class Bundle:
    """A folder that `kv.export.bundle` wrote, opened with onnxruntime on the processor.

    Its networks are programs, and hashes show only that they are those that were written: open no bundle from someone
    whom you would not let run a program. Its methods may be called from several threads at once; they change nothing. A
    process that was forked off must open its own.

    Args:
        path: the folder. It can be removed or replaced once the bundle is open.
        verify: check the SHA-256 of all files, and that the networks give the outputs that the bundle states for its
            test images and codes. Default True; False saves some milliseconds where that was just done.
        threads: of each network, at least 1. Default None: one per processor that this process may use.

    Attributes:
        path, name, version: of the bundle.
        image_shape: (height, width, channels) of its images.
        latents: their number.
        latent_names: a tuple of str.
        active: bool (latents,): whether a latent carries more than 0.01 nats; None without data.
        quantile_range: float64 (2, latents): between these are nearly all codes of the training data; which quantiles
            they are is in `manifest["range_quantiles"]`. None without data.
        manifest: all of `bundle.json`, a dict.
        digest: SHA-256 of `bundle.json`; as it states those of all files, it stands for the bundle.
        preparation: how images become those of the encoder.

    Raises:
        BundleError: for a bundle that is incomplete, damaged or altered, whose networks read further files, or that
            does not pass its test.
        ImportError: when onnxruntime is missing.
        ValueError: for an argument not allowed.

    Example:

    ```python
    bundle = kv.serving.Bundle("bundles/quickstart")
    codes = bundle.encode(["a.png", "b.jpg"])
    codes.mean, codes.any_outside
    bundle.traverse("a.png", bundle.latent_names[0], np.linspace(-2, 2, 9))   # uint8 (9, height, width, channels)
    ```
    """

    def __init__(self, path, *, verify: bool = True, threads: int | None = None):
        if threads is None:
            threads = processors()
        check_integer(threads, "threads", 1)
        self.path = checked_path(path)
        description = self._description = read_manifest(self.path, check_hashes=verify)
        self.name, self.version = description.name, description.version
        self.image_shape, self.latents = description.image_shape, description.latents
        self.latent_names, self.active = description.latent_names, description.active
        self.quantile_range, self.manifest = description.quantile_range, description.content
        self.digest = description.digest
        self.preparation = Preparation(self.image_shape, description.fit, description.background)
        outputs = {name: (self.latents,) for name in ("mean", "logvar")}
        self._encoder = self._open(ENCODER, ("image", "uint8", self.image_shape), outputs, threads, verify)
        image = {"image": self.image_shape}
        self._decoder = self._open(DECODER, ("latents", "float32", (self.latents,)), image, threads, verify)
        if verify:
            self.test()

    def __repr__(self):
        return f"<Bundle {self.name!r} version {self.version!r}: {self.image_shape} to {self.latents} latents>"

    def encode(self, images, batch_size: int = 256, *, range=None, pixel_limit: int = PIXEL_LIMIT) -> Codes:
        """Codes of images.

        Args:
            images: a path or a list of paths; or an array (n, h, w, c), (h, w, c), (n, h, w) or (h, w), or a list of
                arrays of one image each. c is 1 or 3: grey becomes RGB by repetition, RGB becomes grey by its luma
                (ITU-R 601). Images of another size are resized as in training, antialiased; other proportions are
                cropped, padded or stretched, as `manifest["preprocessing"]["files"]` says. With three axes a last one
                of 1 or 3 is read as channels.
            batch_size: images that are prepared and encoded at a time, at least 1.
            range: (value of black, value of white) of arrays. Default (0, 255). They are rounded to 256 levels, which
                the encoder was trained on.
            pixel_limit: image files of more pixels are refused before they are decoded. Default 89478485, at most twice
                that.

        Returns:
            Codes, in the order of the images.

        Raises:
            ImageError: a ValueError, with `file` and `reason`: for a file that is broken, too large or no image.
            ValueError, TypeError: for an array of another shape or kind, or with values outside the range or NaN.
        """
        check_integer(batch_size, "batch_size", 1)
        check_integer(pixel_limit, "pixel_limit", 1, LARGEST_PIXEL_LIMIT)
        batches = self.preparation.batches(images, batch_size, range, pixel_limit)
        found = list(map(self.encode_prepared, batches))
        nothing = np.empty((0, self.latents), "float32")
        mean = np.concatenate([nothing, *(mean for mean, _ in found)])
        return Codes(mean, np.concatenate([nothing, *(logvar for _, logvar in found)]), self.outside(mean))

    def encode_prepared(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`mean` and `logvar`, float32 (n, latents), of uint8 images (n, *image_shape), all at once."""
        mean, logvar = self._run(self._encoder, {"image": images}, ("mean", "logvar"))
        return mean, logvar

    def outside(self, mean: np.ndarray) -> np.ndarray | None:
        """bool (n, latents): whether codes are outside `quantile_range`; None when there is none."""
        if self.quantile_range is None:
            return None
        low, high = self.quantile_range
        return (mean < low) | (mean > high)

    def decode(self, codes, dtype: str = "uint8", batch_size: int = 256) -> np.ndarray:
        """Images of codes.

        Args:
            codes: finite numbers, (n, latents) or (latents,).
            dtype: "uint8", rounded, or "float32".
            batch_size: codes that are decoded at a time, at least 1.

        Returns:
            (n, height, width, channels), pixels 0..255.

        Raises:
            ValueError, TypeError: for codes of another shape or kind, NaN, infinite, or so large that the decoder gives
                no numbers for them, and for another dtype.
        """
        check_choice(dtype, "dtype", ("uint8", "float32"))
        check_integer(batch_size, "batch_size", 1)
        codes = self._checked_codes(codes, "codes")
        images = np.empty((len(codes), *self.image_shape), dtype)
        for start in range(0, len(codes), batch_size):
            block = codes[start : start + batch_size]
            (found,) = self._run(self._decoder, {"latents": block}, ("image",))
            if not np.isfinite(found).all():
                raise ValueError("codes must be such that the decoder gives numbers for them; these are too large")
            images[start : start + batch_size] = np.rint(found) if dtype == "uint8" else found
        return images

    def traverse(self, image_or_code, latent: int | str, values, dtype: str = "uint8", *, range=None) -> np.ndarray:
        """Images of a code of which one latent takes other values.

        Args:
            image_or_code: one image, as for `encode`, whose mean is taken; or a code, (latents,) or (1, latents).
            latent: its index, from 0, or its name.
            values: finite numbers, (n,), that the latent takes.
            dtype: "uint8" or "float32".
            range: as for `encode`, for an array that is an image.

        Returns:
            (n, height, width, channels), pixels 0..255.

        Raises:
            ValueError, TypeError: as `encode` and `decode`, for another latent, and for more images than one.
        """
        index = self.latent_index(latent)
        values = _numbers(values, "values")
        if values.ndim != 1 or values.dtype.kind not in "uif" or not np.isfinite(values).all():
            raise ValueError(f"values must be finite numbers, (n,), got {values.dtype} of shape {values.shape}")
        if not isinstance(image_or_code, str | os.PathLike) and np.shape(image_or_code) in (
            (self.latents,),
            (1, self.latents),
        ):
            code = self._checked_codes(image_or_code, "image_or_code")
        else:
            code = self.encode(image_or_code, range=range).mean
            if len(code) != 1:
                raise ValueError(f"image_or_code must be one image or one code, got {len(code)} images")
        codes = np.repeat(code, len(values), axis=0)
        codes[:, index] = values
        return self.decode(codes, dtype)

    def latent_index(self, latent: int | str) -> int:
        """Index of a latent given by index or name; ValueError for one that there is not."""
        if isinstance(latent, str) and latent in self.latent_names:
            return self.latent_names.index(latent)
        if is_integer(latent) and 0 <= latent < self.latents:
            return int(latent)
        raise ValueError(
            f"latent must be an index from 0 to {self.latents - 1} or one of {', '.join(self.latent_names)}, got "
            f"{latent!r}"
        )

    def test(self) -> dict[str, float]:
        """Run the bundle's test images and codes.

        Returns:
            {"mean", "logvar", "image"}: largest difference from the outputs that it states.

        Raises:
            BundleError: when one is larger than the tolerance times 1 + the largest of these outputs, or when a
                network cannot be run.
        """
        vectors = self._description.test
        try:
            mean, logvar = self.encode_prepared(vectors.images)
            (image,) = self._run(self._decoder, {"latents": vectors.latents}, ("image",))
        except RuntimeError as error:
            raise BundleError(f"{error}, on the bundle's own test") from error
        expected = {"mean": vectors.mean, "logvar": vectors.logvar, "image": vectors.decoded}
        differences = {}
        for name, found in {"mean": mean, "logvar": logvar, "image": image}.items():
            differences[name] = float(np.abs(found - expected[name]).max())
            allowed = vectors.tolerance * (1 + float(np.abs(expected[name]).max()))
            if not differences[name] <= allowed:
                file = DECODER if name == "image" else ENCODER
                raise BundleError(
                    f"{self.path}: {file} does not pass the bundle's test: {name} differs by {differences[name]:.3g} "
                    f"where {allowed:.3g} is allowed"
                )
        return differences

    def _checked_codes(self, codes, name: str) -> np.ndarray:
        codes = _numbers(codes, name)
        if codes.dtype.kind not in "uif":
            raise TypeError(f"{name} must be numbers, got {codes.dtype}")
        if codes.ndim not in (1, 2) or codes.shape[-1] != self.latents:
            raise ValueError(f"{name} must be (n, {self.latents}) or ({self.latents},), got {codes.shape}")
        with np.errstate(over="ignore"):
            codes = codes.reshape(-1, self.latents).astype("float32")
        if not np.isfinite(codes).all():
            raise ValueError(f"{name} must be finite numbers that float32 can hold")
        return codes

    def _run(self, session, inputs: dict, outputs: tuple[str, ...]) -> list[np.ndarray]:
        try:
            return session.run(list(outputs), inputs)
        except Exception as error:  # onnxruntime's errors have no class in common
            raise RuntimeError(f"{self.path}: onnxruntime failed, maybe for want of memory ({error})") from error

    def _open(self, file: str, expected_input, expected_outputs: dict, threads: int, verify: bool):
        """A session of one of the networks; BundleError when it is not what the manifest says."""
        contents = self._description.read(file, check_hash=verify)
        try:
            external = external_tensor(contents)
        except ValueError as error:
            raise BundleError(f"{self.path}: onnxruntime cannot load {file} ({error})") from error
        if external is not None:
            raise BundleError(
                f"{self.path}: onnxruntime cannot load {file} without another file, in which the numbers of "
                f"{external!r} lie and which no hash covers: it is not read; write the bundle again, with all numbers "
                "in its networks"
            )
        require("kerasvae.serving", ["onnxruntime"], "export")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = int(threads), 1
        # Batches differ in size, and a plan of memory is kept for each size.
        options.enable_mem_pattern = False
        # Threads that wait for work by spinning take the processors from other bundles.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            # Its fallback prints, and tries the same again.
            session = onnxruntime.InferenceSession(
                contents, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # onnxruntime's errors have no class in common
            raise BundleError(f"{self.path}: onnxruntime cannot load {file} ({error})") from error
        name, dtype, shape = expected_input
        self._check_tensors(file, "input", session.get_inputs(), {name: shape}, dtype)
        self._check_tensors(file, "output", session.get_outputs(), expected_outputs, "float32")
        return session

    def _check_tensors(self, file: str, kind: str, found: list, expected: dict, dtype: str) -> None:
        if {tensor.name for tensor in found} != set(expected):
            names = ", ".join(tensor.name for tensor in found)
            raise BundleError(f"{self.path}: {file} must have the {kind}s {', '.join(expected)}, it has {names}")
        for tensor in found:
            shape, wanted = list(tensor.shape), [None, *expected[tensor.name]]
            # Sizes that the graph leaves open are names or None; the first, of the batch, has to be.
            fits = len(shape) == len(wanted) and not isinstance(shape[0], int)
            fits = fits and all(not isinstance(a, int) or a == b for a, b in zip(shape[1:], wanted[1:], strict=True))
            if not fits or tensor.type != _ONNX_TYPES[dtype]:
                raise BundleError(
                    f"{self.path}: {kind} {tensor.name} of {file} must be {dtype} of any number of "
                    f"{tuple(wanted[1:])}, it is {tensor.type} of shape {shape}"
                )


def _numbers(values, name: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, or rows of the same length ({error})") from error


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
