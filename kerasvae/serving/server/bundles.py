"""The bundles that are served, and their replacement on disk."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from kerasvae.serving.bundle import Bundle
from kerasvae.serving.manifest import BundleError
from kerasvae.serving.server.data_plane import Models
from kerasvae.serving.server.models import BundleModel, models_of
from kerasvae.serving.server.settings import Limits

logger = logging.getLogger(__name__)


@dataclass
class _Served:
    """A folder, and what answers from it.

    `state` is that of the files at the last attempt to open them, and `failure` what came of it when it failed.
    """

    path: Path
    state: tuple
    digest: str
    models: list[BundleModel]
    failure: str = ""


class Bundles:
    """The bundles in some folders as models of the server.

    Args:
        paths: of the folders.
        models: where they answer.
        executor, limits, batch_delay: as for `BundleModel`.
        threads: of each network, as for `Bundle`.

    Raises:
        BundleError: for a bundle that cannot be opened, and for two that would answer under one name and version.
    """

    def __init__(
        self, paths: list, models: Models, executor: Executor, limits: Limits, batch_delay: float, threads: int
    ):
        self._answering = models
        self._arguments = (executor, limits, batch_delay)
        self._threads = threads
        self._served: list[_Served] = []
        for path in paths:
            state = state_of(path)
            bundle = Bundle(path, threads=threads)
            opened = models_of(bundle, *self._arguments)
            self._check_names(opened, path)
            self._served.append(_Served(Path(path), state, bundle.digest, opened))

    async def answer(self) -> None:
        """Let all of them answer."""
        for served in self._served:
            await self._answering.add(served.models)

    async def watch(self, seconds: float) -> None:
        """Look at the folders every so many seconds, for ever, and swap a bundle that has been replaced."""
        while True:
            await asyncio.sleep(seconds)
            for served in self._served:
                try:
                    await self._look_at(served)
                except Exception:  # the server must outlive whatever became of a folder
                    logger.exception(
                        "%s: looking for a new bundle failed; the one loaded goes on answering", served.path
                    )

    async def _look_at(self, served: _Served) -> None:
        state = await asyncio.to_thread(state_of, served.path)
        if state == served.state:
            return
        try:
            bundle = await asyncio.to_thread(Bundle, served.path, threads=self._threads)
            opened = models_of(bundle, *self._arguments)
            self._check_names(opened, served.path, besides=served)
        except (BundleError, OSError) as error:
            served.state = state
            if str(error) != served.failure:
                logger.warning("%s; the bundle loaded before goes on answering", error)
            served.failure = str(error)
            return
        if await asyncio.to_thread(state_of, served.path) != state:
            return  # it is being written; the next look will see what came of it
        served.state, served.failure = state, ""
        if bundle.digest != served.digest:
            await self._swap(served, opened, bundle)

    async def _swap(self, served: _Served, opened: list[BundleModel], bundle: Bundle) -> None:
        old = served.models
        await self._answering.add(opened)
        served.models, served.digest = opened, bundle.digest
        taken = {(model.name, model.version) for model in opened}
        await self._answering.remove([model for model in old if (model.name, model.version) not in taken])
        del old
        # MLServer's batcher and its model hold one another, and what they hold is large.
        await asyncio.to_thread(gc.collect)
        logger.info("%s was replaced: %s version %s answers now", served.path, bundle.name, bundle.version)

    def _check_names(self, opened: list[BundleModel], path, besides: _Served | None = None) -> None:
        for other in self._served:
            if other is besides:
                continue
            taken = {(model.name, model.version): type(model) for model in other.models}
            for model in opened:
                if (model.name, model.version) in taken:
                    raise BundleError(
                        f"{path}: {model.name} version {model.version} is served from {other.path} already; write one "
                        "of them with another name or version"
                    )

    def described(self) -> list[str]:
        """A line for each bundle."""
        lines = []
        for served in self._served:
            names = ", ".join(model.name for model in served.models)
            lines.append(f"{served.path}: {names}, version {served.models[0].version}")
        return lines


def state_of(path) -> tuple:
    """Which files a folder holds, their sizes and times: another as soon as anything in it changes; () for none."""
    state = []
    for folder, _, files in os.walk(path):
        for file in files:
            file = os.path.join(folder, file)
            try:
                found = os.stat(file)
            except OSError:  # gone in the meantime
                continue
            state.append(
                (os.path.relpath(file, path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            )
    return tuple(sorted(state))
