"""The predictor over one folder, as KServe runs it: models that MLflow wrote, and no registry anywhere."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from structlog.testing import capture_logs

from anmodel.laptop.guardian import Guardian
from anmodel.predictor.description import describe
from anmodel.predictor.folder import FolderModel
from batch.serving import CONTRACT, NAME, Models, Predictor, model_folders, records_of, start_folder_predictor
from batch.synthetic import feature_rows
from eventually import eventually

OTHER = {**CONTRACT, "version": "0123456789ab"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Version 1 fits this code, version 2 does not."""
    made = Models(tmp_path_factory.mktemp("models"))
    made.train(1)
    made.train(2, OTHER)
    return made


@pytest.fixture(scope="module")
def running(models: Models, guardian: Guardian) -> Iterator[Predictor]:
    predictor = start_folder_predictor(models, guardian, model_folders(models)[0], MODEL_VERSION="17")
    eventually(lambda: predictor.get("/v2/health/ready").is_success, 30)
    yield predictor
    predictor.stage.kill()


@pytest.fixture
def folder(models: Models, tmp_path: Path) -> Path:
    """A copy of version 1's folder, to be spoilt."""
    return Path(shutil.copytree(model_folders(models)[0], tmp_path / "model"))


@pytest.fixture(scope="module")
def shoppers() -> pd.DataFrame:
    return feature_rows(5, 9)[0]


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[Any]]:
    """What is logged goes here and not to the screen."""
    with capture_logs() as lines:
        yield lines


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The folder, its description changed."""
    said = yaml.safe_load((folder / "MLmodel").read_text())
    change(said)
    (folder / "MLmodel").write_text(yaml.safe_dump(said))
    return folder


def looked(folder: Path, version: str = "") -> FolderModel:
    """A source that has looked into `folder` once."""
    source = FolderModel(NAME, folder, version)
    source.look()
    return source


def test_a_folder_alone_answers_what_the_model_says(running: Predictor, shoppers: pd.DataFrame) -> None:
    answer = running.predict(records_of(shoppers)).json()
    expected = running.models.trained["1"].forecast(shoppers)
    assert answer["model_version"] == "17"
    pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), expected, check_dtype=False)


def test_info_tells_of_the_model_what_a_registry_would(running: Predictor) -> None:
    said = running.info()
    assert (said["status"], said["error"], said["version"]) == ("loaded", None, "17")
    assert (said["snapshot_version"], said["metrics"]) == (CONTRACT["version"], {"roc_auc": 0.8})
    assert [feature["name"] for feature in said["described"]] == [item["name"] for item in CONTRACT["features"]]
    age = datetime.now(UTC) - datetime.fromisoformat(said["created_at"])
    assert timedelta() < age < timedelta(hours=1)


def test_the_model_can_be_asked_for_again_but_not_taken_away(running: Predictor) -> None:
    assert running.post(f"/v2/repository/models/{NAME}/load", None).json() == {"name": NAME, "load": True}
    refused = running.post(f"/v2/repository/models/{NAME}/unload", None)
    assert (refused.status_code, "MODEL_DIR" in refused.json()["error"]) == (501, True)


def test_a_model_of_other_features_is_never_ready_and_the_process_lives_to_say_why(
    models: Models, guardian: Guardian, folder: Path
) -> None:
    shutil.copytree(model_folders(models)[1], folder, dirs_exist_ok=True)
    predictor = start_folder_predictor(models, guardian, folder, MODEL_VERSION="18")
    try:
        eventually(lambda: predictor.info()["status"] == "error", 30)
        reason = f"model version 18 reads snapshot 0123456789ab, this code makes {CONTRACT['version']}"
        assert predictor.info()["error"].startswith(reason)
        assert predictor.get("/v2/health/ready").status_code == 503
        assert predictor.get("/health").json() == {"status": "ok"}
        assert predictor.predict([{}]).status_code == 503
        assert reason in predictor.stage.log.read_text()
        assert predictor.post(f"/v2/repository/models/{NAME}/load", None).status_code == 503
        shutil.copytree(model_folders(models)[0], folder, dirs_exist_ok=True)
        assert predictor.post(f"/v2/repository/models/{NAME}/load", None).json() == {"name": NAME, "load": True}
        assert predictor.get("/v2/health/ready").status_code == 200
        assert predictor.info()["error"] is None
    finally:
        assert predictor.stage.stop() in (0, -15)


def test_serving_a_folder_imports_nothing_of_mlflow(models: Models) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from anmodel.predictor.command import source_of\n"
        "from anmodel.predictor.serving import create_app\n"
        "from anmodel.settings import PredictorSettings\n"
        f"source = source_of(PredictorSettings.load(model_dir={str(model_folders(models)[0])!r}))\n"
        "create_app('x', source); source.look(); assert source.served, source.error\n"
        "assert not {'mlflow', 'sqlalchemy'} & {name.split('.')[0] for name in sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_without_a_number_of_the_registry_a_model_goes_by_its_own_identity(folder: Path) -> None:
    source = looked(folder)
    assert source.served is not None
    assert source.served.version == yaml.safe_load((folder / "MLmodel").read_text())["model_id"]


def test_a_model_of_before_descriptions_is_served_without_metrics(folder: Path) -> None:
    source = looked(edited(folder, lambda said: said.pop("metadata")), "3")
    said = describe(NAME, source)
    assert (said["status"], said["snapshot_version"], said["metrics"]) == ("loaded", CONTRACT["version"], {})


def test_a_contract_is_checked_before_the_models_code_runs(folder: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (folder / "model.pkl").write_bytes(f"cos\nmkdir\n(V{ran}\ntR.".encode())
    refused = looked(edited(folder, lambda said: said["metadata"]["anmodel"].update(contract=OTHER)))
    assert "reads snapshot 0123456789ab" in str(refused.error)
    assert not ran.exists()
    strange = looked(edited(folder, lambda said: said["metadata"]["anmodel"].update(contract=CONTRACT)))
    assert strange.error == "the model's file holds a NoneType; a ContextAwareModel is needed"
    assert ran.exists()


def _no_description(folder: Path) -> None:
    (folder / "MLmodel").unlink()


def _strange_description(folder: Path) -> None:
    (folder / "MLmodel").write_text("flavors: {python_function: {}}")


def _no_yaml(folder: Path) -> None:
    (folder / "MLmodel").write_text("{")


def _skops(folder: Path) -> None:
    edited(folder, lambda said: said["flavors"]["sklearn"].update(serialization_format="skops"))


def _half_a_pickle(folder: Path) -> None:
    whole = (folder / "model.pkl").read_bytes()
    (folder / "model.pkl").write_bytes(whole[: len(whole) // 2])


def _no_pickle(folder: Path) -> None:
    (folder / "model.pkl").unlink()


def _other_code(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"canmodel.model.of_tomorrow\nModel\n(tR.")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_description, "holds no file MLmodel"),
        (_strange_description, "none of `anmodel train`: KeyError"),
        (_no_yaml, "none of `anmodel train`: ParserError"),
        (_skops, "none of `anmodel train`: ValueError"),
        (_half_a_pickle, "cannot be loaded, its files are damaged or of other code"),
        (_no_pickle, "cannot be loaded, its files are damaged or of other code: FileNotFoundError"),
        (_other_code, "cannot be loaded, its files are damaged or of other code: ModuleNotFoundError"),
    ],
)
def test_a_folder_that_holds_no_whole_model_says_what_is_wrong_and_not_where(
    folder: Path, spoil: Callable[[Path], None], said: str, log_lines: list[Any]
) -> None:
    spoil(folder)
    source = looked(folder)
    assert source.served is None
    assert source.error is not None
    assert said in source.error
    assert str(folder) not in source.error
    assert [line["folder"] for line in log_lines if line["log_level"] == "error"] == [str(folder)]
