"""The protocol over gRPC: MLServer's generated service, with raw contents as bytes and the errors of this server."""

# ruff: noqa: N802 (the protocol names the methods)

from __future__ import annotations

import functools
import json
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from grpc import StatusCode, aio
from mlserver.errors import InferenceError, MLServerError
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc.converters import ModelMetadataResponseConverter
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceServicer, add_GRPCInferenceServiceServicer_to_server
from mlserver.grpc.interceptors import PromServerInterceptor
from mlserver.types import (
    InferenceRequest,
    MetadataModelResponse,
    RepositoryIndexRequest,
    RequestInput,
    RequestOutput,
    TensorData,
)

from kerasvae.serving.server.data_plane import Inference, refuse_to_load
from kerasvae.serving.server.settings import Limits
from kerasvae.serving.server.tensors import DTYPES, MOST_TENSORS, quoted, refuse_unsupported

logger = logging.getLogger(__name__)

CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    503: StatusCode.RESOURCE_EXHAUSTED,
}
CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def grpc_server(inference: Inference, limits: Limits) -> aio.Server:
    """A server of the service, not yet bound to a port."""
    size = limits.body
    server = aio.server(
        ThreadPoolExecutor(max_workers=1),  # for services that are not asynchronous: there is none
        interceptors=[PromServerInterceptor(enable_handling_time_histogram=True), _Unreadable()],
        options=[
            ("grpc.max_receive_message_length", size),
            ("grpc.max_send_message_length", -1),
            # Otherwise a second server on the same port would silently take half of the requests.
            ("grpc.so_reuseport", 0),
        ],
        maximum_concurrent_rpcs=limits.requests,
    )
    add_GRPCInferenceServiceServicer_to_server(_Service(inference), server)
    return server


UNREADABLE = object()


class _Unreadable(aio.ServerInterceptor):
    """Hands UNREADABLE to the method for what is no message of the protocol; grpc answers UNKNOWN, and logs it."""

    async def intercept_service(self, continuation, handler_call_details):
        handler = await continuation(handler_call_details)
        if handler is None:
            return None

        def read(message: bytes):
            try:
                return handler.request_deserializer(message)
            except Exception:  # protobuf's own, whose module is not imported for that
                return UNREADABLE

        return handler._replace(request_deserializer=read)


def _answered(method):
    """Errors as status codes with a sentence; the log gets those of this server alone."""

    @functools.wraps(method)
    async def call(self, request, context):
        if request is UNREADABLE:
            await context.abort(StatusCode.INVALID_ARGUMENT, "the message is not as the protocol says")
        try:
            return await method(self, request)
        except MLServerError as error:
            await context.abort(CODES.get(error.status_code, StatusCode.UNKNOWN), str(error))
        except Exception:
            logger.exception("%s failed", method.__name__)
            await context.abort(StatusCode.INTERNAL, "an error of the server; its log says which")

    return call


class _Service(GRPCInferenceServiceServicer):
    def __init__(self, inference: Inference):
        self._inference = inference

    @_answered
    async def ServerLive(self, request):
        return messages.ServerLiveResponse(live=await self._inference.live())

    @_answered
    async def ServerReady(self, request):
        return messages.ServerReadyResponse(ready=await self._inference.ready())

    @_answered
    async def ModelReady(self, request):
        return messages.ModelReadyResponse(ready=await self._inference.model_ready(request.name, request.version))

    @_answered
    async def ServerMetadata(self, request):
        metadata = await self._inference.metadata()
        return messages.ServerMetadataResponse(
            name=metadata.name, version=metadata.version, extensions=metadata.extensions
        )

    @_answered
    async def ModelMetadata(self, request):
        metadata = await self._inference.model_metadata(request.name, request.version)
        return ModelMetadataResponseConverter.from_types(_in_primitives(metadata))

    @_answered
    async def ModelInfer(self, request):
        response = await self._inference.infer(_payload(request), request.model_name, request.model_version)
        return _message(response, raw=bool(request.raw_input_contents))

    async def ModelStreamInfer(self, request_iterator, context):
        await context.abort(StatusCode.UNIMPLEMENTED, "there are no streams here; call ModelInfer")
        yield  # without it this would be no stream

    @_answered
    async def RepositoryIndex(self, request):
        index = await self._inference.index(RepositoryIndexRequest())
        items = [
            messages.RepositoryIndexResponse.ModelIndex(name=item.name, version=item.version, state="READY")
            for item in index.root
        ]
        return messages.RepositoryIndexResponse(models=items)

    @_answered
    async def RepositoryModelLoad(self, request):
        refuse_to_load()

    @_answered
    async def RepositoryModelUnload(self, request):
        refuse_to_load()


def _payload(request: messages.ModelInferRequest) -> InferenceRequest:
    if max(len(request.inputs), len(request.outputs)) > MOST_TENSORS:
        raise InferenceError(f"inputs and outputs must be at most {MOST_TENSORS} each")
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise InferenceError(f"{len(request.inputs)} inputs need as many raw_input_contents, got {len(raw)}")
    inputs = []
    for tensor in (*request.inputs, *request.outputs):
        refuse_unsupported(tensor.parameters)
    for tensor in request.inputs:
        if tensor.datatype not in DTYPES and tensor.datatype != "BYTES":
            raise InferenceError(f"input {quoted(tensor.name)}: there is no datatype {quoted(tensor.datatype)}")
        if raw and tensor.contents.ListFields():
            raise InferenceError(f"input {quoted(tensor.name)}: contents must be empty beside raw_input_contents")
        if raw:
            data = raw[len(inputs)]
        else:
            field = CONTENTS.get(tensor.datatype)
            if field is None or any(found.name != field for found, _ in tensor.contents.ListFields()):
                raise InferenceError(
                    f"input {quoted(tensor.name)}: the contents of {tensor.datatype} must be in "
                    f"{field or 'raw_input_contents'}"
                )
            data = getattr(tensor.contents, field)
        inputs.append(
            RequestInput.model_construct(
                name=tensor.name,
                shape=list(tensor.shape[:9]),  # one more than is allowed
                datatype=tensor.datatype,
                data=TensorData.model_construct(root=data),
            )
        )
    return InferenceRequest.model_construct(
        id=request.id or None,
        inputs=inputs,
        outputs=[RequestOutput.model_construct(name=output.name) for output in request.outputs] or None,
    )


def _message(response, raw: bool) -> messages.ModelInferResponse:
    message = messages.ModelInferResponse(
        model_name=response.model_name, model_version=response.model_version, id=response.id or ""
    )
    for output in response.outputs:
        tensor = message.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        array = np.asarray(output.data.root)
        if raw:
            message.raw_output_contents.append(array.tobytes())
        else:
            getattr(tensor.contents, CONTENTS[output.datatype]).extend(array.tolist())
    return message


def _in_primitives(metadata: MetadataModelResponse) -> MetadataModelResponse:
    """Parameters as gRPC can carry them, truth values, integers and text: others become JSON text."""
    metadata = metadata.model_copy(deep=True)
    for described in (metadata, *metadata.inputs, *metadata.outputs):
        if described.parameters is not None:
            extra = described.parameters.model_extra
            extra.update(
                {
                    key: value if isinstance(value, bool | int | str) else json.dumps(value)
                    for key, value in extra.items()
                }
            )
    return metadata
