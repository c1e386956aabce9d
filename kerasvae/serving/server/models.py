"""The models of a bundle that the server offers: encode, decode and traverse, each a model of MLServer.

`accepted` turns a request into its one canonical form or refuses it, before batching: MLServer joins the requests of a
batch without comparing their datatypes and shapes, and one that fails fails all of its batch. `predict` gets what
`accepted` returned, or several of them joined.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import Executor

import numpy as np
from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, MetadataTensor, Parameters
from prometheus_client import Counter, Histogram

from kerasvae.serving.bundle import Bundle
from kerasvae.serving.server.settings import Limits, ModelParameters, ModelSettings
from kerasvae.serving.server.tensors import array_of, count_of, quoted, request_input, response_output

# A larger request fills a batch by itself: joining it with others would cost a copy and gain nothing.
LARGEST_BATCHED = 16
# Requests that MLServer joins at most.
MOST_REQUESTS_BATCHED = 32

LABELS = ["model", "version"]
BATCH_SIZE = Histogram(
    "kerasvae_batch_size", "Images or codes computed together", LABELS, buckets=[2**power for power in range(11)]
)
CODES_OUTSIDE = Counter(
    "kerasvae_images_outside", "Images with a code outside the quantiles of the training data", LABELS
)


class BundleModel(MLModel):
    """What the three have in common.

    Args:
        bundle: an open bundle.
        executor: where it computes.
        limits: of a request.
        batch_delay: seconds to wait for further requests to compute together; 0 computes each by itself.
    """

    suffix = ""
    batched = True

    def __init__(self, bundle: Bundle, executor: Executor, limits: Limits, batch_delay: float = 0.0):
        self.bundle = bundle
        self._executor = executor
        self._most = limits.batch
        super().__init__(
            ModelSettings(
                implementation=type(self),
                name=f"{bundle.name}{self.suffix}",
                platform="onnxruntime_onnx",
                parameters=ModelParameters(version=bundle.version),
                max_batch_size=MOST_REQUESTS_BATCHED if self.batched and batch_delay else 0,
                max_batch_time=batch_delay if self.batched else 0.0,
            )
        )
        self.inputs, self.outputs = self._tensors()
        self._labels = {"model": self.name, "version": self.version}

    def accepted(self, request: InferenceRequest) -> InferenceRequest:
        """The request in canonical form: its inputs, with their data as bytes; InferenceError for a bad one."""
        arrays, known = {}, {tensor.name: tensor.shape[1:] for tensor in self.inputs}
        for tensor in request.inputs:
            if tensor.name not in known or tensor.name in arrays:
                raise InferenceError(
                    f"inputs of {self.name} are {', '.join(known)}, each at most once, got "
                    f"{', '.join(quoted(tensor.name) for tensor in request.inputs)}"
                )
            # Before millions of values are looked at that no model takes.
            if count_of(tensor) > self._most * math.prod(known[tensor.name]):
                self._refuse_shape(tensor.name, tensor.shape, known[tensor.name])
            arrays[tensor.name] = array_of(tensor)
        for output in request.outputs or []:
            if output.name not in self._outputs_index:
                raise InferenceError(
                    f"outputs of {self.name} are {', '.join(self._outputs_index)}, got {quoted(output.name)}"
                )
        inputs = [request_input(name, array) for name, array in self._checked(arrays).items()]
        return InferenceRequest.model_construct(inputs=inputs)

    async def alone(self, request: InferenceRequest) -> InferenceResponse:
        """The answer to an accepted request, computed without others."""
        return await BundleModel.predict(self, request)

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        arrays = {tensor.name: array_of(tensor) for tensor in payload.inputs}
        loop = asyncio.get_running_loop()
        try:
            outputs = await loop.run_in_executor(self._executor, self._computed, arrays)
        except ValueError as error:  # latents so large that the decoder gives no numbers
            raise InferenceError(f"{self.name}: {error}") from None
        return InferenceResponse.model_construct(
            model_name=self.name,
            model_version=self.version,
            outputs=[response_output(name, array) for name, array in outputs.items()],
        )

    def is_batched(self, request: InferenceRequest) -> bool:
        """Whether an accepted request is worth joining with others."""
        return request.inputs[0].shape[0] <= LARGEST_BATCHED

    def description(self) -> dict:
        """What the metadata's parameters say of the model."""
        manifest = self.bundle.manifest
        kept = ("index", "name", "kl", "active", "quantiles", "factor")
        return {
            "task": type(self).__name__.lower(),
            "version": self.version,
            "description": manifest["description"],
            "created": manifest["created"],
            "largest_batch": self._most,
            "latents": [{key: entry.get(key) for key in kept} for entry in manifest["latent_summary"]],
            "range_quantiles": manifest["range_quantiles"],
        }

    async def metadata(self) -> MetadataModelResponse:
        return MetadataModelResponse(
            name=self.name,
            versions=[self.version],
            platform=self.settings.platform,
            inputs=self.inputs,
            outputs=self.outputs,
            parameters=Parameters(**self.description()),
        )

    def _tensors(self) -> tuple[list[MetadataTensor], list[MetadataTensor]]:
        raise NotImplementedError(f"{type(self).__name__} must define `_tensors`")

    def _checked(self, arrays: dict) -> dict:
        raise NotImplementedError(f"{type(self).__name__} must define `_checked`")

    def _computed(self, arrays: dict) -> dict:
        raise NotImplementedError(f"{type(self).__name__} must define `_computed`")

    def _image_tensor(self, count: int) -> MetadataTensor:
        parameters = Parameters(range=[0, 255], axes="image, row, column, channel")
        return MetadataTensor(
            name="image", datatype="UINT8", shape=[count, *self.bundle.image_shape], parameters=parameters
        )

    def _codes_tensor(self, name: str, count: int, datatype: str = "FP32") -> MetadataTensor:
        return MetadataTensor(name=name, datatype=datatype, shape=[count, self.bundle.latents])

    def _count(self, name: str, array: np.ndarray, shape: tuple) -> None:
        """Refuse an array that is not (1 to largest batch, *shape)."""
        if array.shape[1:] != shape or not 1 <= len(array) <= self._most:
            self._refuse_shape(name, array.shape, shape)

    def _refuse_shape(self, name: str, found, shape) -> None:
        sizes = ", ".join(str(size) for size in (f"1 to {self._most}", *shape))
        raise InferenceError(f"input '{name}' of {self.name} must have shape [{sizes}], got {list(found)}")

    def _pixels(self, arrays: dict) -> np.ndarray:
        image = arrays["image"]
        self._count("image", image, tuple(self.bundle.image_shape))
        if image.dtype == np.float32:
            if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 255):
                raise InferenceError(f"input 'image' of {self.name} must be pixels from 0 to 255, without NaN")
            return np.rint(image).astype(np.uint8)
        if image.dtype != np.uint8:
            raise InferenceError(f"input 'image' of {self.name} must be UINT8 or FP32")
        return image

    def _numbers(self, name: str, arrays: dict, shape: tuple) -> np.ndarray:
        array = arrays[name]
        if array.dtype not in (np.float32, np.float64):
            raise InferenceError(f"input '{name}' of {self.name} must be FP32 or FP64")
        self._count(name, array, shape)
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise InferenceError(f"input '{name}' of {self.name} must be finite numbers that FP32 can hold")
        return array

    def _need(self, arrays: dict, *names: str) -> None:
        for name in names:
            if name not in arrays:
                raise InferenceError(f"input '{name}' of {self.name} is missing")


class Encode(BundleModel):
    """Images to `mean`, `logvar`, and, where the bundle knows its data's quantiles, `outside`."""

    def _tensors(self):
        outputs = [self._codes_tensor("mean", -1), self._codes_tensor("logvar", -1)]
        if self.bundle.quantile_range is not None:
            outputs.append(self._codes_tensor("outside", -1, "BOOL"))
        return [self._image_tensor(-1)], outputs

    def _checked(self, arrays):
        self._need(arrays, "image")
        return {"image": self._pixels(arrays)}

    def _computed(self, arrays):
        BATCH_SIZE.labels(**self._labels).observe(len(arrays["image"]))
        codes = self.bundle.encode(arrays["image"])
        outputs = {"mean": codes.mean, "logvar": codes.logvar}
        if codes.outside is not None:
            outputs["outside"] = codes.outside
            CODES_OUTSIDE.labels(**self._labels).inc(int(np.any(codes.outside, axis=1).sum()))
        return outputs


class Decode(BundleModel):
    """Latents to images."""

    suffix = "-decode"

    def _tensors(self):
        return [self._codes_tensor("latents", -1)], [self._image_tensor(-1)]

    def _checked(self, arrays):
        self._need(arrays, "latents")
        return {"latents": self._numbers("latents", arrays, (self.bundle.latents,))}

    def _computed(self, arrays):
        BATCH_SIZE.labels(**self._labels).observe(len(arrays["latents"]))
        return {"image": self.bundle.decode(arrays["latents"])}


class Traverse(BundleModel):
    """One image, or its latents, with one latent set to each of some values, to images.

    Its requests are never joined: each is a batch of its own.
    """

    suffix = "-traverse"
    batched = False

    def _tensors(self):
        image, latents = self._image_tensor(1), self._codes_tensor("latents", 1)
        latent = MetadataTensor(name="latent", datatype="INT64", shape=[1])
        values = MetadataTensor(name="values", datatype="FP32", shape=[-1])
        image.parameters.note = "either this or latents"
        latents.parameters = Parameters(note="either this or image")
        latent.parameters = Parameters(note="an index, or, with the datatype BYTES, a name")
        values.parameters = Parameters(note="that the latent takes, one per image")
        return [image, latents, latent, values], [self._image_tensor(-1)]

    def _checked(self, arrays):
        self._need(arrays, "latent", "values")
        if ("image" in arrays) == ("latents" in arrays):
            raise InferenceError(f"{self.name} needs either input 'image' or input 'latents'")
        start = "image" if "image" in arrays else "latents"
        if len(arrays[start]) != 1:
            raise InferenceError(f"input '{start}' of {self.name} must be one, got {len(arrays[start])}")
        if start == "image":
            checked = {"image": self._pixels(arrays)}
        else:
            checked = {"latents": self._numbers("latents", arrays, (self.bundle.latents,))}
        return {**checked, "latent": self._latent(arrays["latent"]), "values": self._numbers("values", arrays, ())}

    def _latent(self, array: np.ndarray) -> np.ndarray:
        if array.size != 1 or array.dtype.kind not in "iuO":
            raise InferenceError(f"input 'latent' of {self.name} must be one integer, or one name as BYTES")
        latent = array.item()
        try:
            return np.array([self.bundle.latent_index(latent.decode() if isinstance(latent, bytes) else latent)])
        except (ValueError, UnicodeDecodeError):
            names = self.bundle.latent_names
            raise InferenceError(
                f"input 'latent' of {self.name} must be from 0 to {len(names) - 1}, or one of {', '.join(names)}, got "
                f"{quoted(latent)}"
            ) from None

    def _computed(self, arrays):
        start = arrays["image"] if "image" in arrays else arrays["latents"]
        return {"image": self.bundle.traverse(start[0], int(arrays["latent"][0]), arrays["values"])}


def models_of(bundle: Bundle, executor: Executor, limits: Limits, batch_delay: float) -> list[BundleModel]:
    """The three models of a bundle."""
    return [kind(bundle, executor, limits, batch_delay) for kind in (Encode, Decode, Traverse)]
