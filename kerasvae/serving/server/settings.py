"""What the server is told at its start: limits, and the settings of MLServer's parts."""

from __future__ import annotations

from dataclasses import dataclass

import mlserver.settings

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What one request, and all together, may ask for.

    Args:
        batch: images, codes or values of one request, at least 1.
        body: bytes of one request's body (REST, also after decompression) or message (gRPC).
        requests: how many may be worked on at a time; a further one is refused (503, RESOURCE_EXHAUSTED).
        held_bodies: of REST bodies that may be in memory at a time, in multiples of `body`.
        patience: seconds that a client has for its request line and headers, for its body, and for each pause in which
            it reads nothing of an answer. A body gets a second more for every 64 KiB that has arrived.
        grace: seconds that accepted requests have, after SIGTERM, to be answered.
    """

    batch: int = 256
    body: int = 64 * MIB
    requests: int = 1024
    held_bodies: int = 8
    patience: float = 30.0
    grace: float = 30.0


class _NoEnvironment:
    """MLServer also reads MLSERVER_* variables and a file .env, by which it could open ports or send traces."""

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, **_):
        return (init_settings,)


class ServerSettings(_NoEnvironment, mlserver.settings.Settings):
    """MLServer's settings, from arguments alone."""


class ModelParameters(_NoEnvironment, mlserver.settings.ModelParameters):
    """MLServer's parameters of a model, from arguments alone."""


class ModelSettings(_NoEnvironment, mlserver.settings.ModelSettings):
    """MLServer's settings of a model, from arguments alone."""


def server_settings(host: str, version: str, limits: Limits) -> ServerSettings:
    """MLServer's settings for this server.

    There are no parallel workers: onnxruntime computes in threads and releases the interpreter's lock, so processes
    would each hold every bundle, and copy every image between them, for nothing. Responses are not compressed: it would
    cost more time than the encoder does.
    """
    return ServerSettings(
        debug=False,
        host=host,
        server_name="kerasvae",
        server_version=version,
        extensions=["binary_tensor_data"],
        parallel_workers=0,
        grpc_max_message_length=limits.body,
        gzip_enabled=False,
        load_models_at_startup=False,
    )
