"""The services of a cluster, over InferenceServices made up here and a predictor that answers as told."""

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
from structlog.testing import capture_logs

from anmodel.errors import ClusterError, NotReadyError, UnavailableError
from anmodel.gateway.kserve_services import KServeServices
from anmodel.gateway.problems import NotFound
from anmodel.laptop.kafka import free_port
from anmodel.served_model import ServedModel
from anmodel.settings import GatewaySettings
from eventually import eventually
from scripted_server import Answer, Request, ScriptedServer

MAIN = "context_aware"
INFO = {"status": "loaded", "version": "9", "snapshot_version": "ab12", "error": None}


def served(url: str, model: str = MAIN, **changed: object) -> ServedModel:
    known = {"name": model.replace("_", "-"), "model": model, "version": "3", "ready": True, "reason": "", "url": url}
    return ServedModel(**{**known, **changed})  # type: ignore[arg-type]


class Cluster:
    """InferenceServices in memory; fails as told."""

    def __init__(self) -> None:
        self.found: list[ServedModel] = []
        self.failure: Exception | None = None
        self.looks = 0

    def __call__(self) -> list[ServedModel]:
        self.looks += 1
        if self.failure:
            raise self.failure
        return self.found


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def predictor() -> Iterator[ScriptedServer]:
    def answer(request: Request, _: int) -> Answer:
        said = INFO if request.path.endswith("/info") else {"predictions": [{}], "model_version": "3"}
        return Answer(body=json.dumps(said).encode())

    with ScriptedServer(answer).running() as server:
        yield server


Make = Callable[..., KServeServices]


@pytest.fixture
async def make(cluster: Cluster) -> AsyncIterator[Make]:
    async with httpx.AsyncClient(timeout=5, trust_env=False) as http:

        def made(**settings: object) -> KServeServices:
            given = {"clickhouse_password": "x", "services": "kserve", **settings}
            return KServeServices(GatewaySettings.load(**given), http, cluster)

        yield made


async def test_services_are_the_models_of_the_inference_services_the_main_one_first(
    make: Make, cluster: Cluster, predictor: ScriptedServer
) -> None:
    cluster.found = [served(predictor.url, "another"), served(predictor.url)]
    services = make()
    services.look()
    assert services.names() == [MAIN, "another"]
    assert services.reason() is None
    detail = await services.detail(MAIN)
    assert (detail.status, detail.version, detail.snapshot_version, detail.error) == ("loaded", "3", "ab12", None)
    await services.client("another").predict([{}])
    assert predictor.requests[-1].path == "/v1/models/another:predict"
    with pytest.raises(NotFound, match="there is no service 'x'; there is: context_aware, another"):
        services.client("x")


async def test_before_the_first_model_the_main_service_is_pending_and_says_what_to_do(make: Make) -> None:
    services = make(predictor_route_host="serving.example")
    services.look()
    detail = await services.detail(MAIN)
    assert (services.names(), detail.status) == ([MAIN], "pending")
    assert "train_model" in str(detail.error)
    with pytest.raises(NotReadyError, match="no model is served yet"):
        services.client(MAIN)


async def test_a_service_that_is_not_up_yet_is_pending_with_kserves_reason(make: Make, cluster: Cluster) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    cluster.found = [served(nobody, ready=False, reason="PredictorReady: MinimumReplicasUnavailable")]
    services = make()
    services.look()
    detail = await services.detail(MAIN)
    assert (detail.status, detail.version) == ("pending", "3")
    assert detail.error == "PredictorReady: MinimumReplicasUnavailable"
    cluster.found = [served(nobody)]
    services.look()
    detail = await services.detail(MAIN)
    assert (detail.status, detail.error) == ("error", "the predictor does not answer; try again in a few seconds")


async def test_a_service_that_answers_is_loaded_although_kserve_is_changing_it(
    make: Make, cluster: Cluster, predictor: ScriptedServer
) -> None:
    cluster.found = [served(predictor.url, ready=False, reason="rolling")]
    services = make()
    services.look()
    detail = await services.detail(MAIN)
    assert (detail.status, detail.error) == ("loaded", "rolling")


async def test_requests_for_the_main_model_go_to_the_gateway_and_others_to_their_own_address(
    make: Make, cluster: Cluster, predictor: ScriptedServer
) -> None:
    cluster.found = [served("http://127.0.0.1:1"), served(predictor.url, "another")]
    services = make(predictor_url=predictor.url, predictor_route_host="serving.example")
    services.look()
    await services.client(MAIN).predict([{}])
    await services.client("another").predict([{}])
    hosts = [request.headers["host"] for request in predictor.requests]
    assert hosts == ["serving.example", predictor.url.removeprefix("http://")]


@pytest.mark.parametrize("failure", [ClusterError("10.0.0.1 refused"), RuntimeError("a bug")])
async def test_while_the_api_is_away_what_was_there_stays_and_the_reason_is_told_once(
    make: Make, cluster: Cluster, predictor: ScriptedServer, failure: Exception
) -> None:
    cluster.found = [served(predictor.url, "another"), served(predictor.url)]
    services = make()
    services.look()
    cluster.failure = failure
    with capture_logs() as lines:
        services.look()
        services.look()
    assert [line["event"] for line in lines] == ["InferenceServices not read"]
    assert services.names() == [MAIN, "another"]
    assert services.reason() == "the InferenceServices cannot be read from the Kubernetes API now"
    assert (await services.detail(MAIN)).status == "loaded"
    cluster.failure = None
    services.look()
    assert services.reason() is None


async def test_predictions_need_no_kubernetes_api_where_the_gateways_address_is_known(
    make: Make, cluster: Cluster, predictor: ScriptedServer
) -> None:
    cluster.failure = ClusterError("away")
    routed = make(predictor_url=predictor.url, predictor_route_host="serving.example")
    routed.look()
    await routed.client(MAIN).predict([{}])
    assert (await routed.detail(MAIN)).status == "loaded"
    unknown = make()
    unknown.look()
    with pytest.raises(UnavailableError, match="cannot be read"):
        unknown.client(MAIN)


def looking(thread: threading.Thread) -> bool:
    return thread.name == "services" and thread.is_alive()


async def test_it_looks_at_once_when_told_and_ends_when_told(make: Make, cluster: Cluster) -> None:
    services = make(services_poll_seconds=3600)
    with services.looking():
        assert cluster.looks == 1
        cluster.found = [served("http://127.0.0.1:1", "another")]
        services.refresh()
        eventually(lambda: services.names() == [MAIN, "another"], 5)
        assert cluster.looks == 2
    eventually(lambda: not any(map(looking, threading.enumerate())), 5)


async def test_it_looks_now_and_again(make: Make, cluster: Cluster) -> None:
    with make(services_poll_seconds=0.02).looking():
        eventually(lambda: cluster.looks >= 3, 5)
