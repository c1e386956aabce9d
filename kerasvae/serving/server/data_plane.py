"""What both transports call: MLServer's data plane and registry, with the gaps that matter here closed."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import status
from mlserver.batching import load_batching
from mlserver.errors import InferenceError, MLServerError
from mlserver.handlers import DataPlane
from mlserver.registry import MultiModelRegistry
from mlserver.settings import Settings
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    RepositoryIndexRequest,
    RepositoryIndexResponse,
    RepositoryIndexResponseItem,
    State,
)

from kerasvae.serving.server.models import BundleModel
from kerasvae.serving.server.settings import Limits


class BusyError(MLServerError):
    """More than the server takes on."""

    def __init__(self, message: str):
        super().__init__(message, status.HTTP_503_SERVICE_UNAVAILABLE)


class Models:
    """The models that answer, by name and version.

    MLServer's registry makes a model from settings; here it is handed models that are already open, so that a broken
    bundle never reaches it and a swap takes no time.
    """

    def __init__(self):
        self._handed = {}
        self.registry = MultiModelRegistry(
            on_model_load=[load_batching],
            # MLServer's own server does not batch a model's requests any more once it has been reloaded.
            on_model_reload=[lambda old, new: load_batching(new)],
            model_initialiser=lambda settings: self._handed.pop((settings.name, settings.version)),
        )

    async def add(self, models: list[BundleModel]) -> None:
        """Let models answer, in place of those of the same names and versions; no request sees some of them alone."""
        for model in models:
            self._handed[model.name, model.version] = model
            await self.registry.load(model.settings)

    async def remove(self, models: list[BundleModel]) -> None:
        for model in models:
            await self.registry.unload_version(model.name, model.version)

    async def find(self, name: str, version: str | None) -> BundleModel:
        """The model of a name, of the newest version unless one is named; MLServerError 404 when there is none."""
        return await self.registry.get_model(name[:200], version[:200] if version else None)

    async def every(self) -> list[BundleModel]:
        return sorted(await self.registry.get_models(), key=lambda model: (model.name, model.version))


class Inference(DataPlane):
    """MLServer's data plane, and its counters of requests.

    Args:
        settings: of the server.
        models: that answer.
        limits: of requests.
    """

    def __init__(self, settings: Settings, models: Models, limits: Limits):
        super().__init__(settings, models.registry)
        self.models = models
        self.stopping = False
        self._limits = limits
        self._under_way = 0

    async def ready(self) -> bool:
        return not self.stopping and await super().ready()

    async def model_ready(self, name: str, version: str | None = None) -> bool:
        return not self.stopping and (await self.models.find(name, version or None)).ready

    async def model_metadata(self, name: str, version: str | None = None) -> MetadataModelResponse:
        metadata = await (await self.models.find(name, version or None)).metadata()
        metadata.versions = [model.version for model in await self.models.every() if model.name == metadata.name]
        return metadata

    async def infer(self, payload: InferenceRequest, name: str, version: str | None = None) -> InferenceResponse:
        # Before anything is counted under the name: a client's inventions must not each become a time series.
        model = await self.models.find(name, version or None)
        with self.room():
            async with self._infer_contextmanager(model.name, model.version):
                # MLServer's batcher never answers the rest of a batch once one of its requests has been cancelled, as
                # gRPC does when a client goes away.
                response = await asyncio.shield(self._computed(model, model.accepted(payload)))
        wanted = [output.name for output in payload.outputs or []]
        return InferenceResponse.model_construct(
            model_name=model.name,
            model_version=model.version,
            id=payload.id,
            outputs=[output for output in response.outputs if not wanted or output.name in wanted],
        )

    @staticmethod
    async def _computed(model: BundleModel, request: InferenceRequest) -> InferenceResponse:
        if not model.is_batched(request):
            return await model.alone(request)
        try:
            return await model.predict(request)
        except InferenceError:  # perhaps another's of the same batch
            return await model.alone(request)

    @contextlib.contextmanager
    def room(self):
        """Hold a place among the requests that are worked on; BusyError when there is none."""
        if self._under_way >= self._limits.requests:
            raise BusyError(f"{self._limits.requests} requests are being worked on already; try again")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def index(self, request: RepositoryIndexRequest) -> RepositoryIndexResponse:
        """The models that answer; they are all ready."""
        items = [
            RepositoryIndexResponseItem(name=model.name, version=model.version, state=State.READY, reason="")
            for model in await self.models.every()
        ]
        return RepositoryIndexResponse(root=items)


def refuse_to_load() -> None:
    """The protocol's optional load and unload: who reaches the port must not decide what is served."""
    raise MLServerError(
        "bundles are loaded when the server starts and when they are replaced on disk, not by request",
        status.HTTP_403_FORBIDDEN,
    )
