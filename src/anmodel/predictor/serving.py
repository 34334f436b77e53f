"""The model in use as a KServe model, and KServe's endpoints over it as an application of our own.

KServe's `ModelServer.start` binds every address; so its endpoints are registered on an application that we run.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI, Response
from kserve import InferRequest, InferResponse, Model, ModelRepository
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.infer_type import to_http_parameters
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.v1_endpoints import register_v1_endpoints
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints
from prometheus_client import CONTENT_TYPE_LATEST

from anmodel import __version__
from anmodel.predictor import refusals
from anmodel.predictor.description import describe
from anmodel.predictor.grpc_serving import grpc_endpoint
from anmodel.predictor.metrics import Observed, PredictorMetrics
from anmodel.predictor.records import frame_of_records
from anmodel.predictor.source import Served, Source
from anmodel.predictor.tensors import frame_of_request, input_metadata, output_metadata, response_of

_TOP_REASONS = 3


class ForecastModel(Model):  # type: ignore[misc]
    """Forecasts of the model in use by protocols v1 and v2. Reasons come too when `parameters` has `explain: true`."""

    def __init__(self, name: str, source: Source, workers: ThreadPoolExecutor) -> None:
        super().__init__(name)
        self._source = source
        self._workers = workers

    async def healthy(self) -> bool:
        """Whether a model is there to answer."""
        return self._source.served is not None

    async def get_input_types(self) -> list[dict[str, Any]]:
        """The tensors of the model in use."""
        return input_metadata(self._served().columns)

    def get_output_types(self) -> list[dict[str, Any]]:
        """The tensors of every answer."""
        return output_metadata()

    async def predict(
        self, payload: Any, headers: dict[str, str] | None = None, response_headers: dict[str, str] | None = None
    ) -> dict[str, Any] | InferResponse:
        """A v1 answer to a v1 body, a v2 answer to a v2 request; on a thread, so that health is answered meanwhile."""
        served = self._served()
        answer = self._tensors if isinstance(payload, InferRequest) else self._predictions
        return await asyncio.get_running_loop().run_in_executor(self._workers, answer, payload, served)

    async def explain(self, payload: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Not this way: the server would send the request's headers back."""
        raise NotImplementedError('ask :predict with "parameters": {"explain": true}')

    def _served(self) -> Served:
        served = self._source.served
        if served is None:
            raise ModelNotReady(self.name, self._source.error or self._source.pending)
        return served

    def _predictions(self, payload: Any, served: Served) -> dict[str, Any]:
        records, parameters = _instances(payload)
        frame = frame_of_records(records, served.columns)
        answer: dict[str, Any] = {
            "predictions": served.loaded.model.forecast(frame).to_dict("records"),
            "model_version": served.version,
        }
        if parameters.get("explain"):
            answer["reasons"] = served.loaded.model.explain(frame, top=_TOP_REASONS)
        return answer

    def _tensors(self, request: InferRequest, served: Served) -> InferResponse:
        frame = frame_of_request(request, served.columns)
        explain = bool(to_http_parameters(request.parameters or {}).get("explain"))  # gRPC's are boxed, and all true
        reasons = served.loaded.model.explain(frame, top=_TOP_REASONS) if explain else None
        return response_of(request, self.name, served.version, served.loaded.model.forecast(frame), reasons)


class OneModelRepository(ModelRepository):  # type: ignore[misc]
    """Holds the one model. Loading it means that its source looks now; it is never unloaded."""

    def __init__(self, model: ForecastModel, source: Source) -> None:
        super().__init__()
        self.update(model)
        self._source = source

    async def load(self, name: str) -> bool:
        """Look now: at the registry, or into the folder if its model could not be loaded."""
        if name not in self.models:
            raise ModelNotFound(name)
        await asyncio.to_thread(self._source.look)
        return self._source.served is not None

    def unload(self, name: str) -> None:
        """Refused: which model serves is decided elsewhere."""
        raise NotImplementedError(self._source.decided)


class ReadyDataPlane(DataPlane):  # type: ignore[misc]
    """KServe's own is always ready; this one is when its model is."""

    async def ready(self) -> bool:
        """Whether every model can answer."""
        models = self.model_registry.get_models().values()
        return all([await model.healthy() for model in models])


class LoadAnswered(ModelRepositoryExtension):  # type: ignore[misc]
    """KServe's own says nothing of a load that went well, and its gRPC service then fails to answer."""

    async def load(self, model_name: str) -> dict[str, Any]:
        """Load it; ModelNotReady when it cannot be."""
        await super().load(model_name)
        return {"name": model_name, "load": True}


def create_app(name: str, source: Source, *, workers: int = 2, host: str = "127.0.0.1", grpc_port: int = 0) -> FastAPI:
    """The model server of one model; `source` runs while it serves, `workers` requests are computed at once.

    With a `grpc_port`, protocol v2 is answered over gRPC too, there and at `host`.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="predict")
    repository = OneModelRepository(ForecastModel(name, source, pool), source)
    dataplane, extension = ReadyDataPlane(model_registry=repository), LoadAnswered(repository)
    metrics = PredictorMetrics(name, source)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        source.start()
        async with AsyncExitStack() as stack:
            if grpc_port:
                await stack.enter_async_context(grpc_endpoint(host, grpc_port, dataplane, extension, metrics))
            yield
        await asyncio.to_thread(source.stop)
        pool.shutdown(cancel_futures=True)

    app = FastAPI(title="AnModel predictor", version=__version__, lifespan=lifespan, redoc_url=None)
    app.add_middleware(Observed, metrics=metrics)
    register_v1_endpoints(app, dataplane, extension)
    register_v2_endpoints(app, dataplane, extension)

    @app.get("/v1/models/{model_name}/info", tags=["V1"])
    async def info(model_name: str) -> dict[str, Any]:
        """The model in use, its features and how good it is; `status` and `error` also when there is none."""
        if model_name != name:
            raise ModelNotFound(model_name)
        return describe(name, source)

    @app.get("/", include_in_schema=False)
    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process lives."""
        return {"status": "ok"}

    @app.get("/metrics", include_in_schema=False)
    async def measured() -> Response:
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    refusals.install(app)
    return app


def _instances(payload: Any) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
    """Records and parameters of a v1 body."""
    if isinstance(payload, bytes):  # a content type that the server does not take for JSON, `…; charset=utf-8` say
        try:
            payload = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"the body is no JSON: {error}") from error
    records = payload.get("instances") if isinstance(payload, dict) else None
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise InvalidInput('the body must be {"instances": [{feature: value, …}, …]} with at least one record')
    parameters = payload.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise InvalidInput('"parameters" must be an object, like {"explain": true}')
    return records, parameters
