"""The protocol over REST: MLServer's application, with the inference endpoint and the errors of this server."""

from __future__ import annotations

import asyncio
import contextlib
import zlib

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from mlserver.errors import MLServerError
from mlserver.rest.app import create_app
from mlserver.rest.responses import Response as JSONResponse
from mlserver.settings import Settings
from mlserver.types import InferenceRequest, InferenceResponse, RepositoryIndexRequest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from kerasvae.serving.server.data_plane import BusyError, Inference, refuse_to_load
from kerasvae.serving.server.settings import Limits
from kerasvae.serving.server.tensors import parse_request, quoted, rendered

# Of MLServer's routes; the others are its repository, streams of text, and pages that fetch scripts from elsewhere.
KEPT_ROUTES = {
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/{model_name}",
    "/v2/models/{model_name}/versions/{model_version}",
    "/v2/models/{model_name}/ready",
    "/v2/models/{model_name}/versions/{model_version}/ready",
}
JSON_LENGTH = "Inference-Header-Content-Length"
CONTENT_TYPES = ("application/json", "application/octet-stream")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# A body may arrive this slowly, in bytes a second.
SLOWEST = 64 * 1024


def application(settings: Settings, inference: Inference, limits: Limits):
    """The ASGI application."""
    app = create_app(settings, inference, model_repository_handlers=None)
    app.router.redirect_slashes = False
    app.router.routes[:] = [route for route in app.router.routes if route.path in KEPT_ROUTES]
    endpoints = _Endpoints(inference, limits)
    for path in ("/v2/models/{model_name}", "/v2/models/{model_name}/versions/{model_version}"):
        app.router.routes.append(Route(f"{path}/infer", endpoints.infer, methods=["POST"]))
    app.router.routes.append(Route("/v2/repository/index", endpoints.index, methods=["POST"]))
    for action in ("load", "unload"):
        app.router.routes.append(
            Route(f"/v2/repository/models/{{model_name}}/{action}", endpoints.load, methods=["POST"])
        )
    _answer_errors_in_json(app)
    return _closed_when_read(_known_methods_only(app), limits.patience)


class _Endpoints:
    def __init__(self, inference: Inference, limits: Limits):
        self._inference = inference
        self._limits = limits
        self._held = 0

    async def infer(self, request: Request) -> Response:
        name, version = request.path_params["model_name"], request.path_params.get("model_version")
        await self._inference.models.find(name, version)  # an unknown one is refused before its body is read
        content_type = request.headers.get("content-type", CONTENT_TYPES[0]).partition(";")[0].strip().lower()
        if content_type not in CONTENT_TYPES:
            raise HTTPException(415, f"Content-Type must be {' or '.join(CONTENT_TYPES)}, got {quoted(content_type)}")
        json_length = request.headers.get(JSON_LENGTH)
        if json_length is not None and not (json_length.isascii() and json_length.isdigit() and len(json_length) < 20):
            raise HTTPException(400, f"{JSON_LENGTH} must be a number of bytes, got {quoted(json_length)}")
        with contextlib.ExitStack() as held:
            body = await self._body(request, held)
            payload = parse_request(body, None if json_length is None else int(json_length))
            response = await self._inference.infer(payload, name, version)
        content, json_bytes = rendered(response, _binary_outputs(payload, response))
        if json_bytes is None:
            return Response(content, media_type=CONTENT_TYPES[0])
        return Response(content, media_type=CONTENT_TYPES[1], headers={JSON_LENGTH: str(json_bytes)})

    async def index(self, request: Request) -> Response:
        index = await self._inference.index(RepositoryIndexRequest())
        return JSONResponse(index.model_dump())

    async def load(self, request: Request) -> Response:
        refuse_to_load()

    async def _body(self, request: Request, held: contextlib.ExitStack) -> bytes:
        """The body, decompressed; its bytes count as held until `held` is closed."""
        most = self._limits.body
        too_large = HTTPException(413, f"the body must be at most {most} bytes")
        declared = request.headers.get("content-length", "0")
        if len(declared) > 19 or int(declared) > most:
            raise too_large
        encoding = request.headers.get("content-encoding", "identity").lower()
        if encoding not in ("identity", "gzip", "deflate"):
            raise HTTPException(415, f"Content-Encoding must be gzip or deflate, got {quoted(encoding)}")
        decompress = None if encoding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
        chunks, size, received = [], 0, 0
        loop = asyncio.get_running_loop()
        start = loop.time()
        stream = request.stream().__aiter__()
        while True:
            try:
                async with asyncio.timeout_at(start + self._limits.patience + received / SLOWEST):
                    chunk = await anext(stream, None)
            except TimeoutError:
                raise HTTPException(408, f"the body came too slowly: {received} bytes so far") from None
            if chunk is None:
                break
            received += len(chunk)
            if received > most:
                raise too_large
            if decompress is not None:
                if chunk and decompress.eof:
                    raise HTTPException(400, f"the body is not {encoding}: it goes on after its end")
                try:
                    chunk = decompress.decompress(chunk, most - size + 1)
                except zlib.error as error:
                    raise HTTPException(400, f"the body is not {encoding}: {quoted(error)}") from None
            size += len(chunk)
            if size > most:
                raise too_large
            self._hold(len(chunk), held)
            chunks.append(chunk)
        if decompress is not None and (not decompress.eof or decompress.unused_data):
            ends = "goes on after its end" if decompress.eof else "ends too soon"
            raise HTTPException(400, f"the body is not {encoding}: it {ends}")
        return b"".join(chunks)

    def _hold(self, size: int, held: contextlib.ExitStack) -> None:
        if self._held + size > self._limits.held_bodies * self._limits.body:
            raise BusyError("the bodies of other requests fill the memory that is set aside for them; try again")
        self._held += size
        held.callback(self._release, size)

    def _release(self, size: int) -> None:
        self._held -= size


def _binary_outputs(request: InferenceRequest, response: InferenceResponse) -> set[str]:
    """Names of the outputs that the client wants as bytes."""
    default = getattr(request.parameters, "binary_data_output", False)
    wanted = {
        output.name: getattr(output.parameters, "binary_data", default) is True for output in request.outputs or []
    }
    return {output.name for output in response.outputs if wanted.get(output.name, default is True)}


def _answer_errors_in_json(app: FastAPI) -> None:
    def answer(status: int, message: str, headers=None) -> Response:
        return JSONResponse({"error": message}, status_code=status, headers=headers)

    def mlserver_error(request, error):
        return answer(error.status_code, str(error), {"Retry-After": "1"} if isinstance(error, BusyError) else None)

    app.exception_handlers.update(
        {
            MLServerError: mlserver_error,
            HTTPException: lambda request, error: answer(error.status_code, str(error.detail), error.headers),
            RequestValidationError: lambda request, error: answer(400, "the request is not as the protocol says"),
            # Nobody is there to read it.
            ClientDisconnect: lambda request, error: answer(400, "the client went away"),
            Exception: lambda request, error: answer(500, "an error of the server; its log says which"),
        }
    )


def _known_methods_only(app):
    """Other methods never reach the metrics, in which each would become a time series."""

    async def checked(scope, receive, send):
        if scope["type"] == "http" and scope["method"] not in METHODS:
            await JSONResponse({"error": "Method Not Allowed"}, status_code=405)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return checked


def _closed_when_read(app, patience: float):
    """Where a connection ends with the answer, the rest of the body is read first, for so many seconds at most.

    A connection that is closed with bytes unread is reset, and a client that was still sending loses the answer.
    """

    async def patient(scope, receive, send):
        if scope["type"] != "http" or not _closes(scope):
            return await app(scope, receive, send)
        ended = False

        async def watched():
            nonlocal ended
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def after_the_body(message):
            if message["type"] == "http.response.body" and not message.get("more_body", False) and not ended:
                await send({**message, "more_body": True})
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        while not ended:
                            await watched()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await app(scope, watched, after_the_body)

    return patient


def _closes(scope) -> bool:
    """Whether a client wants its connection closed after the answer."""
    wishes = b",".join(value for name, value in scope["headers"] if name == b"connection").lower()
    return b"close" in wishes or (scope["http_version"] == "1.0" and b"keep-alive" not in wishes)
