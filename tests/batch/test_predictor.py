"""The predictor as a process, over real models in a real MLflow registry."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from kserve import InferInput, InferRequest, InferResponse

from anmodel import snapshots
from anmodel.forecasts import FORECAST_OUTPUTS
from anmodel.laptop.guardian import Guardian
from batch.serving import CONTRACT, NAME, Models, Predictor, records_of, start_predictor
from batch.synthetic import feature_rows
from eventually import eventually

NUMBERS = [feature["name"] for feature in CONTRACT["features"] if feature["kind"] == "number"]
CATEGORIES = [feature["name"] for feature in CONTRACT["features"] if feature["kind"] == "category"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    made = Models(tmp_path_factory.mktemp("models"))
    made.registry.set_champion(made.train(1))
    made.train(2)
    return made


@pytest.fixture(scope="module")
def running(models: Models, guardian: Guardian) -> Iterator[Predictor]:
    predictor = start_predictor(models, guardian)
    yield predictor
    predictor.stage.kill()


@pytest.fixture
def predictor(running: Predictor, models: Models) -> Predictor:
    """Version 1 in use."""
    models.registry.set_champion(models.registry.version("1"))
    eventually(lambda: running.serves(models.registry.version("1")), 20)
    return running


@pytest.fixture(scope="module")
def shoppers() -> pd.DataFrame:
    return feature_rows(5, 9)[0]


def test_v1_answers_what_the_model_says(predictor: Predictor, shoppers: pd.DataFrame) -> None:
    answer = predictor.predict(records_of(shoppers)).json()
    expected = predictor.models.trained["1"].forecast(shoppers)
    assert answer["model_version"] == "1"
    assert set(answer) == {"predictions", "model_version"}
    pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), expected, check_dtype=False)


def test_reasons_come_when_asked_for(predictor: Predictor, shoppers: pd.DataFrame) -> None:
    answer = predictor.predict(records_of(shoppers), parameters={"explain": True}).json()
    assert answer["reasons"] == predictor.models.trained["1"].explain(shoppers)
    assert [len(reasons) for reasons in answer["reasons"]] == [3] * len(shoppers)


def test_features_that_do_not_fit_are_refused_by_name(predictor: Predictor, shoppers: pd.DataFrame) -> None:
    record = records_of(shoppers)[0]
    del record["total_events"]
    answer = predictor.predict([{**record, "foo": 1}])
    assert answer.status_code == 422
    assert answer.json() == {
        "error": "unknown features: foo; missing: total_events. "
        "Give every feature of the model, null where it is not known",
        "unknown": ["foo"],
        "missing": ["total_events"],
    }
    wrong = predictor.predict([{**record, "total_events": "many"}])
    assert (wrong.status_code, wrong.json()) == (
        422,
        {"error": "record 0, total_events: got 'many'; a number or null is needed"},
    )


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"{}", b'{"instances":[]}', b'{"instances":[1]}', b'{"instances":[{}],"parameters":5}', b""],
)
def test_a_body_that_is_no_v1_request_is_400_in_words(predictor: Predictor, content: bytes) -> None:
    for kind in ("application/json", "application/json; charset=utf-8"):
        url = f"{predictor.stage.url}/v1/models/{NAME}:predict"
        answer = httpx.post(url, content=content, headers={"content-type": kind})
        assert answer.status_code == 400
        assert answer.json()["error"]


def tensors_of(features: pd.DataFrame, *, column: bool = False) -> list[dict[str, Any]]:
    """v2's inputs as JSON has them, of shape [n] or [n, 1]."""
    rows = records_of(features)
    shape = [len(rows), 1] if column else [len(rows)]
    return [
        {
            "name": name,
            "shape": shape,
            "datatype": "FP64" if name in NUMBERS else "BYTES",
            "data": [row[name] for row in rows],
        }
        for name in features.columns
    ]


@pytest.mark.parametrize("column", [False, True])
def test_v2_answers_the_same_and_with_an_id_of_its_own_when_none_was_given(
    predictor: Predictor, shoppers: pd.DataFrame, column: bool
) -> None:
    answer = predictor.post(f"/v2/models/{NAME}/infer", {"inputs": tensors_of(shoppers, column=column)})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["model_name"], body["model_version"]) == (NAME, "1")
    assert body["id"]
    assert [(output["name"], output["datatype"], output["shape"]) for output in body["outputs"]] == [
        (name, "INT64" if name == "will_purchase_pred" else "FP64", [5]) for name in FORECAST_OUTPUTS
    ]
    answered = pd.DataFrame({output["name"]: output["data"] for output in body["outputs"]})
    expected = predictor.models.trained["1"].forecast(shoppers)
    pd.testing.assert_frame_equal(answered, expected, check_dtype=False)


def test_v2_keeps_the_id_and_gives_only_the_outputs_asked_for(predictor: Predictor, shoppers: pd.DataFrame) -> None:
    request = {
        "id": "42",
        "inputs": tensors_of(shoppers),
        "outputs": [{"name": "reasons"}],
        "parameters": {"explain": True},
    }
    body = predictor.post(f"/v2/models/{NAME}/infer", request).json()
    assert (body["id"], [output["name"] for output in body["outputs"]]) == ("42", ["reasons"])
    expected = predictor.models.trained["1"].explain(shoppers)
    assert [json.loads(text) for text in body["outputs"][0]["data"]] == expected
    unknown = predictor.post(f"/v2/models/{NAME}/infer", {"inputs": tensors_of(shoppers), "outputs": [{"name": "x"}]})
    assert unknown.status_code == 400


def test_v2_speaks_its_binary_form(predictor: Predictor, shoppers: pd.DataFrame) -> None:
    inputs = []
    for name in shoppers.columns:
        number = name in NUMBERS
        tensor = InferInput(name, [len(shoppers)], "FP64" if number else "BYTES")
        values = shoppers[name].to_numpy(dtype=np.float64 if number else object)
        tensor.set_data_from_numpy(values, binary_data=True)
        inputs.append(tensor)
    request = InferRequest(NAME, inputs, request_id="7", parameters={"binary_data_output": True})
    content, length = request.to_rest()
    headers = {"inference-header-content-length": str(length), "content-type": "application/octet-stream"}
    url = f"{predictor.stage.url}/v2/models/{NAME}/infer"
    answer = httpx.post(url, content=content, headers=headers)
    assert answer.status_code == 200
    response = InferResponse.from_bytes(answer.content, int(answer.headers["inference-header-content-length"]))
    answered = pd.DataFrame({output.name: output.as_numpy() for output in response.outputs})
    expected = predictor.models.trained["1"].forecast(shoppers)
    pd.testing.assert_frame_equal(answered, expected, check_dtype=False)


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"name": "foo"}, 422, "unknown features: foo; missing: total_events"),
        ({"datatype": "BYTES", "data": ["1"] * 5}, 422, "total_events: got datatype BYTES; FP64 is needed"),
        ({"shape": [4], "data": [1] * 4}, 400, "the input tensors hold [4, 5] rows"),
        ({"shape": [5, 2], "data": [1] * 10}, 400, "total_events: got shape [5, 2]"),
        ({"data": [1] * 4}, 400, "total_events: its data does not fit datatype FP64 and shape [5]"),
        ({"data": ["x"] * 5}, 400, "total_events: its data does not fit datatype FP64 and shape [5]"),
        ({"name": "active_days"}, 400, "an input tensor is given twice"),
        ({"datatype": "DATE"}, 422, "total_events: got datatype DATE; FP64 is needed"),
        ({"shape": "5"}, 400, "inputs.0.shape"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_in_words(
    predictor: Predictor, shoppers: pd.DataFrame, change: dict[str, Any], status: int, said: str
) -> None:
    first, *rest = tensors_of(shoppers)
    assert first["name"] == "total_events"
    answer = predictor.post(f"/v2/models/{NAME}/infer", {"inputs": [{**first, **change}, *rest]})
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_the_protocols_own_questions_are_answered(predictor: Predictor) -> None:
    assert predictor.get("/v2/health/live").json() == {"live": True}
    assert predictor.get("/v2/health/ready").json() == {"ready": True}
    assert predictor.get(f"/v1/models/{NAME}").json() == {"name": NAME, "ready": True}
    assert predictor.get(f"/v2/models/{NAME}/ready").json() == {"name": NAME, "ready": True}
    metadata = predictor.get(f"/v2/models/{NAME}").json()
    assert [tensor["name"] for tensor in metadata["inputs"]] == list(snapshots.FEATURE_NAMES)
    assert {tensor["name"] for tensor in metadata["inputs"] if tensor["datatype"] == "BYTES"} == set(CATEGORIES)
    assert [tensor["name"] for tensor in metadata["outputs"]] == list(FORECAST_OUTPUTS)
    assert predictor.get("/v2/models/other").status_code == 404
    assert predictor.get("/v1/models/other/info").status_code == 404
    assert "request_predict_seconds" in predictor.get("/metrics").text


def test_nobody_can_take_the_model_away_over_http(predictor: Predictor) -> None:
    assert predictor.post(f"/v2/repository/models/{NAME}/unload", None).status_code == 501
    assert predictor.post(f"/v2/repository/models/{NAME}/load", None).json() == {"name": NAME, "load": True}
    assert predictor.get("/v2/health/ready").status_code == 200


def test_a_new_champion_answers_without_a_restart_and_without_a_failed_request(
    predictor: Predictor, shoppers: pd.DataFrame
) -> None:
    records, ended = records_of(shoppers), threading.Event()
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        with httpx.Client(base_url=predictor.stage.url, timeout=20) as client:
            while not ended.is_set():
                answer = client.post(f"/v1/models/{NAME}:predict", json={"instances": records})
                answers.append((answer.status_code, answer.json().get("model_version", answer.text)))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        second = predictor.models.registry.version("2")
        predictor.models.registry.set_champion(second)
        eventually(lambda: predictor.serves(second), 20)
        seen = len(answers)
        eventually(lambda: len(answers) > seen + 10, 20)
    finally:
        ended.set()
        for asker in askers:
            asker.join()
    assert set(answers) == {(200, "1"), (200, "2")}


def test_it_starts_without_a_model_says_so_and_takes_the_first_one(running: Predictor, guardian: Guardian) -> None:
    models = Models(running.models.folder, "newcomer")
    predictor = start_predictor(models, guardian)
    try:
        assert predictor.get("/v2/health/live").json() == {"live": True}
        assert predictor.get("/v2/health/ready").status_code == 503
        assert predictor.info()["status"] == "pending"
        refused = predictor.predict([{}])
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert "is not ready" in refused.json()["error"]
        strange = models.train(3, {**CONTRACT, "version": "0123456789ab"})
        models.registry.set_champion(strange)
        eventually(lambda: predictor.info()["status"] == "error", 20)
        assert "reads snapshot 0123456789ab" in predictor.info()["error"]
        good = models.train(4)
        models.registry.set_champion(good)
        eventually(lambda: predictor.serves(good), 20)
        assert predictor.info()["error"] is None
        assert predictor.get("/v2/health/ready").status_code == 200
    finally:
        assert predictor.stage.stop() in (0, -15)


def test_it_listens_on_its_one_address_alone(predictor: Predictor) -> None:
    port = httpx.URL(predictor.stage.url).port
    with pytest.raises(OSError):  # refused on Linux, unknown elsewhere
        socket.create_connection(("127.0.0.2", port), timeout=2)
