"""The server: Open Inference Protocol, version 2, over REST and gRPC, and Prometheus metrics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import uvloop
from fastapi import FastAPI
from mlserver.metrics.prometheus import PrometheusEndpoint

from kerasvae.serving.bundle import processors
from kerasvae.serving.server.bundles import Bundles
from kerasvae.serving.server.data_plane import Inference, Models
from kerasvae.serving.server.grpc import grpc_server
from kerasvae.serving.server.http import bound_socket, http_server
from kerasvae.serving.server.rest import application
from kerasvae.serving.server.settings import Limits, server_settings

logger = logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(
    bundles: list,
    *,
    version: str,
    host: str = "127.0.0.1",
    port: int = 8080,
    grpc_port: int = 8081,
    metrics_port: int = 8082,
    limits: Limits | None = None,
    batch_delay: float = 0.002,
    threads: int | None = None,
    watch: float = 5.0,
) -> None:
    """Serve bundles until SIGTERM or SIGINT; then answer the requests that were accepted, and return.

    Args:
        bundles: their folders.
        version: of this package, for the server's metadata.
        host: address to listen on.
        port, grpc_port, metrics_port: 0 for any free one; which, the log says.
        limits: of requests.
        batch_delay: seconds that a request waits for others to be computed together with; 0 for none.
        threads: that compute. Default None: one per processor.
        watch: seconds between looks for replaced bundles; 0 for none.

    Raises:
        BundleError: for a bundle that cannot be served.
        OSError: for an address that cannot be had.
    """
    _log_to_stderr()
    _allow_many_connections()
    limits = limits or Limits()
    with contextlib.ExitStack() as stack:
        # Bound before the bundles are opened, which takes longer than to find that a port is taken.
        sockets = {
            option: stack.enter_context(bound_socket(host, number, option))
            for option, number in (("--port", port), ("--metrics-port", metrics_port))
        }
        threads = threads or processors()
        executor = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="kerasvae"))
        models = Models()
        # Requests are computed beside one another, so each network gets one thread.
        loaded = Bundles(bundles, models, executor, limits, batch_delay, threads=1)
        server = _Servers(host, grpc_port, sockets, version, models, limits)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.run(loaded, watch))


class _Servers:
    """REST, gRPC and metrics, started and stopped together.

    MLServer's own class of this kind would let the servers end one after the other, with some still accepting, and take
    its settings from the environment; its parts are used without it.
    """

    def __init__(self, host: str, grpc_port: int, sockets: dict, version: str, models: Models, limits: Limits):
        self._host, self._grpc_port, self._limits = host, grpc_port, limits
        self._sockets = sockets
        settings = server_settings(host, version, limits)
        self._inference = Inference(settings, models, limits)
        self._rest = http_server(application(settings, self._inference, limits), limits)
        metrics = FastAPI(openapi_url=None)
        metrics.add_route("/metrics", PrometheusEndpoint(settings).handle_metrics)
        self._metrics = http_server(metrics, limits)
        self._stop = asyncio.Event()

    async def run(self, bundles: Bundles, watch: float) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        grpc = grpc_server(self._inference, self._limits)
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            grpc_port = grpc.add_insecure_port(f"{host}:{self._grpc_port}")
        except RuntimeError:
            raise OSError(f"--grpc-port: cannot listen on {self._host} port {self._grpc_port}") from None
        await bundles.answer()
        await grpc.start()
        rest = asyncio.create_task(self._rest.serve(sockets=[self._sockets["--port"]]))
        metrics = asyncio.create_task(self._metrics.serve(sockets=[self._sockets["--metrics-port"]]))
        watching = asyncio.create_task(bundles.watch(watch)) if watch else None
        ports = {option: bound.getsockname()[1] for option, bound in self._sockets.items()}
        for line in bundles.described():
            logger.info("serving %s", line)
        logger.info(
            "REST on http://%s:%d/v2, gRPC on %s:%d, metrics on http://%s:%d/metrics; end with Ctrl-C or SIGTERM",
            *(host, ports["--port"], host, grpc_port, host, ports["--metrics-port"]),
        )
        await self._stop.wait()
        logger.info("stopping: accepted requests are answered, no others are accepted")
        self._inference.stopping = True
        if watching is not None:
            watching.cancel()
        self._rest.should_exit = True
        await asyncio.gather(rest, grpc.stop(grace=self._limits.grace))
        self._metrics.should_exit = True
        await metrics
        logger.info("stopped")

    def _on_signal(self) -> None:
        if self._stop.is_set():  # asked twice
            logger.warning("stopped at once; requests under way are lost")
            logging.shutdown()
            os._exit(1)
        self._stop.set()


def _allow_many_connections() -> None:
    """As many open files as the system lets this process have: each connection is one, and 1024 is a usual number."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # not to be had; the number stays what it was
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("kerasvae").setLevel(logging.INFO)
    # They say what clients did wrong, and clients are told.
    for name in ("mlserver", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)
