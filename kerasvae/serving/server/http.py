"""uvicorn, without its own signals, on a socket that is already bound, and impatient with slow clients."""

from __future__ import annotations

import contextlib
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kerasvae.serving.server.settings import Limits


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        # MLServer overrides a method that uvicorn no longer calls; signals would end one of its servers alone.
        yield


def http_server(app, limits: Limits) -> uvicorn.Server:
    """A server of an ASGI application; `serve(sockets=[...])` runs it until `should_exit`."""

    class Impatient(_ImpatientProtocol):
        patience = limits.patience

    config = uvicorn.Config(
        app,
        http=Impatient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(limits.grace),
    )
    return _Server(config)


def bound_socket(host: str, port: int, option: str) -> socket.socket:
    """A listening socket; OSError, naming the option, when the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise OSError(f"{option}: cannot listen on {host} port {port} ({error.strerror or error})") from error


class _ImpatientProtocol(H11Protocol):
    """Closes connections that take too long over a request's line and headers, or over reading an answer.

    uvicorn alone waits for these without end. Bodies are timed where they are read.
    """

    patience = 30.0

    def connection_made(self, transport):
        super().connection_made(transport)
        self._deadline = self._unsent = None
        self._await_request()

    def data_received(self, data):
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_request()
        else:
            self._stop_waiting()

    def connection_lost(self, exc):
        self._stop_waiting()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self):
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            super().timeout_keep_alive_handler()
        elif unsent == self._unsent:
            self.transport.abort()
        else:
            self._unsent = unsent
            self.timeout_keep_alive_task = self.loop.call_later(self.patience, self.timeout_keep_alive_handler)

    def _await_request(self):
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.patience, self.transport.abort)

    def _stop_waiting(self):
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
