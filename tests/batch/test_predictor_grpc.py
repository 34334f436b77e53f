"""Protocol v2 over gRPC, asked by KServe's own client; and what the predictor counts, whatever it is asked by."""

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator

import numpy as np
import pandas as pd
import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError
from kserve import InferenceGRPCClient, InferInput, InferRequest, InferResponse

from anmodel import snapshots
from anmodel.errors import SettingError
from anmodel.forecasts import FORECAST_OUTPUTS
from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from anmodel.predictor.folder import FolderModel
from anmodel.predictor.serving import create_app
from batch.serving import CONTRACT, NAME, Models, Predictor, model_folders, records_of, start_folder_predictor
from batch.synthetic import feature_rows
from eventually import eventually

NUMBERS = [feature["name"] for feature in CONTRACT["features"] if feature["kind"] == "number"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    made = Models(tmp_path_factory.mktemp("models"))
    made.train(1)
    return made


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def predictor(models: Models, guardian: Guardian, port: int) -> Iterator[Predictor]:
    folder = model_folders(models)[0]
    running = start_folder_predictor(models, guardian, folder, MODEL_VERSION="3", PREDICTOR_GRPC_PORT=str(port))
    eventually(lambda: running.get("/v2/health/ready").is_success, 30)
    yield running
    assert running.stage.stop() in (0, -15)


@pytest.fixture
async def client(predictor: Predictor, port: int) -> AsyncIterator[InferenceGRPCClient]:
    asking = InferenceGRPCClient(f"127.0.0.1:{port}")
    yield asking
    await asking.close()


@pytest.fixture(scope="module")
def shoppers() -> pd.DataFrame:
    return feature_rows(5, 9)[0]


def request_of(features: pd.DataFrame, *, binary: bool, **more: object) -> InferRequest:
    """A tensor a feature, in gRPC's typed contents or as raw bytes."""
    tensors = []
    for name in features.columns:
        number = name in NUMBERS
        tensor = InferInput(name, [len(features)], "FP64" if number else "BYTES")
        values = features[name].to_numpy(dtype=np.float64 if number else object)
        texts = np.array([value.encode() if isinstance(value, str) else b"" for value in values], dtype=object)
        tensor.set_data_from_numpy(values if number else texts, binary_data=True)
        if not binary:
            tensor._raw_data, tensor.data = None, list(values if number else texts)
        tensors.append(tensor)
    return InferRequest(NAME, tensors, **more)


def answered(response: InferResponse) -> pd.DataFrame:
    """The outputs as columns."""
    return pd.DataFrame({output.name: output.as_numpy() for output in response.outputs})


async def refused(asking: Awaitable[object]) -> tuple[StatusCode, str]:
    """The code and words of a call that fails."""
    with pytest.raises(AioRpcError) as error:
        await asking
    return error.value.code(), error.value.details() or ""


@pytest.mark.parametrize("binary", [True, False])
async def test_it_answers_what_the_model_says(
    client: InferenceGRPCClient, predictor: Predictor, shoppers: pd.DataFrame, binary: bool
) -> None:
    response = await client.infer(request_of(shoppers, binary=binary, request_id="42"))
    assert (response.id, response.model_name, response.model_version) == ("42", NAME, "3")
    expected = predictor.models.trained["1"].forecast(shoppers)
    pd.testing.assert_frame_equal(answered(response), expected, check_dtype=False)


async def test_reasons_come_when_asked_for_and_only_then(
    client: InferenceGRPCClient, predictor: Predictor, shoppers: pd.DataFrame
) -> None:
    response = await client.infer(request_of(shoppers, binary=False, parameters={"explain": True}))
    texts = answered(response)["reasons"]
    assert [json.loads(text) for text in texts] == predictor.models.trained["1"].explain(shoppers)
    without = await client.infer(request_of(shoppers, binary=False, parameters={"explain": False}))
    assert [output.name for output in without.outputs] == list(FORECAST_OUTPUTS)


async def test_the_protocols_own_questions_are_answered(client: InferenceGRPCClient) -> None:
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert await client.is_model_ready(NAME)


async def test_the_models_tensors_are_described_and_it_can_be_loaded_but_not_taken_away(
    client: InferenceGRPCClient, predictor: Predictor
) -> None:
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

    metadata = await client._client_stub.ModelMetadata(messages.ModelMetadataRequest(name=NAME))
    assert [tensor.name for tensor in metadata.inputs] == list(snapshots.FEATURE_NAMES)
    assert [tensor.name for tensor in metadata.outputs] == list(FORECAST_OUTPUTS)
    loaded = await client._client_stub.RepositoryModelLoad(messages.RepositoryModelLoadRequest(model_name=NAME))
    assert loaded.isLoaded
    unload = client._client_stub.RepositoryModelUnload(messages.RepositoryModelUnloadRequest(model_name=NAME))
    code, words = await refused(unload)
    assert (code, "MODEL_DIR" in words) == (StatusCode.UNIMPLEMENTED, True)
    assert predictor.get("/v2/health/ready").is_success


async def test_what_does_not_fit_is_refused_in_the_words_of_http(
    client: InferenceGRPCClient, shoppers: pd.DataFrame
) -> None:
    lacking = request_of(shoppers.drop(columns="total_events"), binary=True)
    code, words = await refused(client.infer(lacking))
    assert code is StatusCode.INVALID_ARGUMENT
    assert words.startswith("missing: total_events. Give every feature")
    other = request_of(shoppers, binary=True)
    other.model_name = "other"
    assert (await refused(client.infer(other)))[0] is StatusCode.NOT_FOUND


async def test_requests_are_counted_by_protocol_and_outcome_and_the_version_is_told(
    client: InferenceGRPCClient, predictor: Predictor, shoppers: pd.DataFrame
) -> None:
    def count(line: str) -> float:
        page = predictor.get("/metrics").text.splitlines()
        return next((float(found.rpartition(" ")[2]) for found in page if found.startswith(line + " ")), 0.0)

    def requests(protocol: str, outcome: str) -> str:
        return f'anmodel_predictor_request_seconds_count{{outcome="{outcome}",protocol="{protocol}"}}'

    kserve = f'request_predict_seconds_count{{model_name="{NAME}"}}'
    lines = [requests(protocol, outcome) for protocol in ("v1", "v2", "grpc") for outcome in ("answered", "refused")]
    before = [count(line) for line in (*lines, kserve)]
    records = records_of(shoppers)
    assert predictor.predict(records).is_success
    assert predictor.predict([{"strange": 1}]).status_code == 422
    content, length = request_of(shoppers, binary=True).to_rest()
    headers = {"inference-header-content-length": str(length), "content-type": "application/octet-stream"}
    for bytes_sent, status in ((content, 200), (b"", 400)):
        url = f"/v2/models/{NAME}/infer"
        assert predictor.send(url, bytes_sent, headers if status == 200 else {}).status_code == status
    await client.infer(request_of(shoppers, binary=True))
    await refused(client.infer(request_of(shoppers.drop(columns="total_events"), binary=True)))
    after = [count(line) for line in (*lines, kserve)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1, 1, 1, 1, 5]
    labels = f'model_name="{NAME}",snapshot_version="{CONTRACT["version"]}",version="3"'
    assert count(f"anmodel_predictor_model_info{{{labels}}}") == 1


def test_it_listens_on_its_one_address_alone(predictor: Predictor, port: int) -> None:
    with pytest.raises(OSError):  # refused on Linux, unknown elsewhere
        socket.create_connection(("127.0.0.2", port), timeout=2)


async def test_a_port_in_use_is_named_at_the_start(predictor: Predictor, models: Models) -> None:
    taken = int(predictor.stage.url.rpartition(":")[2])
    app = create_app(NAME, FolderModel(NAME, models.folder, ""), grpc_port=taken)
    with pytest.raises(SettingError, match=f"PREDICTOR_GRPC_PORT: 127.0.0.1:{taken} cannot be listened on"):
        async with app.router.lifespan_context(app):
            pass
