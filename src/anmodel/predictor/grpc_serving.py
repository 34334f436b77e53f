"""Protocol v2 over gRPC: KServe's service on a server of our own, since KServe's listens on every address alone."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from grpc import StatusCode, aio  # type: ignore[import-untyped]
from grpc_interceptor.server import AsyncServerInterceptor
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from anmodel.errors import SettingError
from anmodel.predictor.metrics import PredictorMetrics
from anmodel.predictor.refusals import status_and_words

_MAX_BYTES = 8 * 1024 * 1024
_GRACE_SECONDS = 5
_CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    404: StatusCode.NOT_FOUND,
    422: StatusCode.INVALID_ARGUMENT,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
}

log = structlog.get_logger()


@asynccontextmanager
async def grpc_endpoint(
    host: str, port: int, dataplane: DataPlane, extension: ModelRepositoryExtension, metrics: PredictorMetrics
) -> AsyncIterator[None]:
    """Answer on this address, without TLS, until the end of the context; requests under way are answered first."""
    options = [
        ("grpc.so_reuseport", 0),  # else two servers may share a port, and each gets half of the requests
        ("grpc.max_send_message_length", _MAX_BYTES),
        ("grpc.max_receive_message_length", _MAX_BYTES),
    ]
    server = aio.server(interceptors=[_Edge(metrics)], options=options)
    add_GRPCInferenceServiceServicer_to_server(InferenceServicer(dataplane, extension), server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise SettingError(
            f"PREDICTOR_GRPC_PORT: {address} cannot be listened on; give a free port at an address of this machine."
        ) from error
    await server.start()
    log.info("gRPC served", address=address)
    try:
        yield
    finally:
        await server.stop(_GRACE_SECONDS)


class _Edge(AsyncServerInterceptor):
    """Turns errors into gRPC's, in the words that HTTP's answers have, and counts the requests for forecasts."""

    def __init__(self, metrics: PredictorMetrics) -> None:
        self._metrics = metrics

    async def intercept(
        self, method: Callable[..., Awaitable[Any]], request_or_iterator: Any, context: Any, method_name: str
    ) -> Any:
        """Answer one call."""
        started, status, words = time.perf_counter(), 200, ""
        try:
            return await method(request_or_iterator, context)
        except Exception as error:
            status, words = status_and_words(error)
            if status == 500:
                log.exception("request crashed", path=method_name)
        finally:
            if method_name.endswith("/ModelInfer"):
                self._metrics.answered("grpc", status, time.perf_counter() - started)
        await context.abort(_CODES.get(status, StatusCode.INTERNAL), words)
