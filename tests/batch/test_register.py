"""register: which version is in use, judged on the same rows, in a real MLflow registry."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from confluent_kafka import Consumer
from typer.testing import CliRunner

from anmodel.cli import app
from anmodel.errors import ContractError, NotReadyError, RegistryError
from anmodel.lake import Lake
from anmodel.model import ContextAwareModel
from anmodel.register.comparison import compare
from anmodel.register.promotion import promote_newest, promote_version, roll_back
from anmodel.registry import ModelVersion, Registry
from anmodel.snapshots import contract
from anmodel.snapshots.samples import read_manifest, read_sample
from batch.synthetic import feature_rows, write_training
from eventually import eventually

CONTRACT = contract(7)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(str(tmp_path_factory.mktemp("register")))
    write_training(lake, rows=1500)
    return lake


@pytest.fixture(scope="module")
def good() -> ContextAwareModel:
    return fit(trees=60)


@pytest.fixture(scope="module")
def weak() -> ContextAwareModel:
    return fit(trees=2)


@pytest.fixture
def registry(registry_of: Callable[[str], Registry], request: pytest.FixtureRequest) -> Registry:
    """A model's name for each test."""
    return registry_of("".join(letter if letter.isalnum() else "_" for letter in str(request.node.name)))


def fit(trees: int, random_state: int = 42) -> ContextAwareModel:
    model = ContextAwareModel(max_trees=trees, learning_rate=0.1, n_jobs=1, random_state=random_state)
    return model.fit(*feature_rows(1500, seed=1), validation=feature_rows(700, seed=2), contract=CONTRACT)


@pytest.fixture
def log(registry: Registry, tmp_path: Path) -> Callable[..., ModelVersion]:
    def add(model: ContextAwareModel, metrics: dict[str, float] | None = None, version: str = "") -> ModelVersion:
        given = {**CONTRACT, "version": version or CONTRACT["version"]}
        inputs = {"snapshot_name": "model1"}
        return registry.log(model, contract=given, metrics=metrics or {}, params={}, files=tmp_path, inputs=inputs)

    return add


def in_use(registry: Registry) -> str:
    champion = registry.champion()
    assert champion is not None
    return champion.version


def test_the_first_version_is_put_in_use_and_doing_it_again_changes_nothing(
    registry: Registry, lake: Lake, log: Callable[..., ModelVersion], weak: ContextAwareModel
) -> None:
    assert registry.champion() is None
    log(weak)

    assert promote_newest(registry, lake).changed
    assert in_use(registry) == "1"
    assert not promote_newest(registry, lake).changed


def test_a_first_version_worse_than_its_baselines_is_put_in_use_with_a_note(
    registry: Registry, lake: Lake, log: Callable[..., ModelVersion], weak: ContextAwareModel
) -> None:
    log(weak, {"test_log_loss_saved": -0.01})

    assert "read its forecasts with care" in promote_newest(registry, lake).reason
    champion = registry.champion()
    assert champion is not None
    assert "read its forecasts with care" in champion.tags["reason"]


def test_a_better_version_replaces_the_one_in_use(
    registry: Registry, lake: Lake, log: Callable[..., ModelVersion], weak: ContextAwareModel, good: ContextAwareModel
) -> None:
    log(weak)
    promote_newest(registry, lake)
    log(good)
    outcome = promote_newest(registry, lake)

    assert outcome.changed
    assert in_use(registry) == "2"
    assert outcome.former is not None
    assert outcome.former.version == "1"
    assert outcome.reason.startswith("Better: on the same 750 test rows")


@pytest.mark.parametrize("challenger", ["weak", "good"])
def test_a_version_that_is_worse_or_the_same_stays_challenger(
    registry: Registry,
    lake: Lake,
    log: Callable[..., ModelVersion],
    good: ContextAwareModel,
    challenger: str,
    request: Any,
) -> None:
    log(good)
    promote_newest(registry, lake)
    log(request.getfixturevalue(challenger))

    for _ in range(2):
        outcome = promote_newest(registry, lake)
        assert not outcome.changed
        assert "stays challenger" in outcome.reason
    assert in_use(registry) == "1"
    assert registry.version("2").tags["decision"] == "challenger"
    waiting = registry.challenger()
    assert waiting is not None
    assert waiting.version == "2"


def test_rows_the_challenger_may_have_learnt_from_judge_nobody(
    registry: Registry, lake: Lake, weak: ContextAwareModel, good: ContextAwareModel, tmp_path: Path
) -> None:
    for model, fingerprint in ((weak, "lake-0"), (good, "an older lake")):
        inputs = {"snapshot_name": "model1", "data_fingerprint": fingerprint}
        registry.log(model, contract=CONTRACT, metrics={}, params={}, files=tmp_path, inputs=inputs)
        if model is weak:
            promote_newest(registry, lake)

    with pytest.raises(ContractError, match=r"built anew since version 2 was trained.*anmodel train"):
        promote_newest(registry, lake)
    assert in_use(registry) == "1"


def test_a_version_that_ranks_better_and_is_worse_calibrated_is_refused(lake: Lake) -> None:
    test = read_sample(lake, read_manifest(lake, "model1"), "test")
    share = test.bought.mean()

    class Said:
        def __init__(self, proba: Any) -> None:
            self.proba = proba

        def chances(self, features: pd.DataFrame) -> Any:
            return self.proba

    vague = Said(np.full(len(test.bought), share))
    sure_of_too_many = Said(np.where(test.bought > 0, 0.9, 0.5 * share + 0.25))
    verdict = compare(sure_of_too_many, vague, test)  # type: ignore[arg-type]
    assert not verdict.promote
    assert verdict.reason.startswith("Worse calibrated: "), verdict.reason
    assert "log loss +" in verdict.reason


def test_a_difference_within_chance_is_no_reason_to_change(lake: Lake, good: ContextAwareModel) -> None:
    twin = fit(trees=60, random_state=7)
    test = read_sample(lake, read_manifest(lake, "model1"), "test")
    verdicts = [compare(twin, good, test), compare(good, twin, test)]

    assert "+0.0000" not in verdicts[0].reason.split("[")[0]  # they do differ
    assert [verdict.promote for verdict in verdicts] == [False, False]


def test_a_rollback_goes_back_once_and_the_version_left_is_not_promoted_by_itself(
    registry: Registry, lake: Lake, log: Callable[..., ModelVersion], weak: ContextAwareModel, good: ContextAwareModel
) -> None:
    log(weak)
    promote_newest(registry, lake)
    log(good)
    promote_newest(registry, lake)

    assert roll_back(registry).champion.version == "1"
    again = roll_back(registry)
    assert (again.changed, again.reason) == (False, "It was rolled back from version 2 already.")
    assert "was rolled back" in promote_newest(registry, lake).reason
    assert in_use(registry) == "1"
    assert promote_version(registry, "2").changed
    assert in_use(registry) == "2"
    assert not promote_version(registry, "2").changed


def test_a_champion_of_older_snapshots_gives_way_and_the_logged_metrics_are_told(
    registry: Registry, lake: Lake, log: Callable[..., ModelVersion], weak: ContextAwareModel
) -> None:
    log(weak, {"test_log_loss": 0.4, "test_roc_auc": 0.8}, version="0" * 12)
    promote_newest(registry, lake)
    log(weak, {"test_log_loss": 0.5, "test_roc_auc": 0.7, "test_log_loss_saved": -0.02})
    outcome = promote_newest(registry, lake)

    assert outcome.changed
    assert "log loss 0.0200 higher): read its forecasts with care" in outcome.reason
    assert "cannot read the snapshots" in outcome.reason
    assert "log loss 0.4000 → 0.5000; ROC AUC 0.8000 → 0.7000" in outcome.reason


def test_a_version_whose_files_are_damaged_is_not_put_in_use(
    registry: Registry, lake: Lake, log: Callable[..., ModelVersion], weak: ContextAwareModel
) -> None:
    log(weak)
    promote_newest(registry, lake)
    broken = log(weak)
    folder = mlflow.artifacts.download_artifacts(f"models:/{broken.name}/{broken.version}")
    (Path(folder) / "model.pkl").write_bytes(b"garbage")

    with pytest.raises(RegistryError, match=r"Version 2 .* cannot be loaded"):
        promote_version(registry, "2")
    outcome = promote_newest(registry, lake)
    assert outcome.rejected is not None
    assert "Version 2 is rejected" in outcome.reason
    assert in_use(registry) == "1"
    assert "was rejected" in promote_newest(registry, lake).reason


def test_files_that_cannot_be_had_at_all_reject_nobody(
    registry: Registry, lake: Lake, log: Callable[..., ModelVersion], weak: ContextAwareModel
) -> None:
    """The champion's are gone too: the fault is where they are kept."""
    for number in (1, 2):
        made = log(weak)
        if number == 1:
            promote_newest(registry, lake)
        folder = mlflow.artifacts.download_artifacts(f"models:/{made.name}/{made.version}")
        (Path(folder) / "model.pkl").unlink()

    with pytest.raises(RegistryError, match=r"Version 1 .* cannot be loaded"):
        promote_newest(registry, lake)
    assert "decision" not in registry.version("2").tags


@pytest.mark.parametrize("cut_at", [1, 2, 3])
def test_a_rollback_cut_short_is_finished_by_the_next_one(
    registry: Registry,
    lake: Lake,
    log: Callable[..., ModelVersion],
    weak: ContextAwareModel,
    good: ContextAwareModel,
    cut_at: int,
) -> None:
    log(weak)
    promote_newest(registry, lake)
    log(good)
    promote_newest(registry, lake)
    champion, former = registry.version("2"), registry.version("1")

    registry.note(champion, decision="rolled back", rolled_back_to="1")  # as far as it may have come
    client = mlflow.MlflowClient()
    if cut_at > 1:
        client.set_registered_model_alias(registry.name, "former", champion.version)
    if cut_at > 2:
        client.set_registered_model_alias(registry.name, "champion", former.version)
    assert roll_back(registry).changed is (cut_at <= 2)
    assert in_use(registry) == "1"
    assert in_use(registry) == "1"


def test_without_versions_it_says_what_to_do(registry: Registry, lake: Lake) -> None:
    with pytest.raises(NotReadyError, match="Run `anmodel train` first"):
        promote_newest(registry, lake)
    with pytest.raises(NotReadyError, match="has no version 7"):
        promote_version(registry, "7")


def test_the_command_tells_the_topic_of_a_new_champion_once(
    registry: Registry,
    lake: Lake,
    mlflow_variables: dict[str, str],
    log: Callable[..., ModelVersion],
    weak: ContextAwareModel,
    kafka: Any,
) -> None:
    log(weak)
    topic = kafka.topic(1)
    environment = {
        **mlflow_variables,
        "MODEL_NAME": registry.name,
        "PARQUET_OUT": lake.url,
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "MODEL_TOPIC": topic,
    }
    for _ in range(2):
        done = CliRunner().invoke(app, ["register"], env=environment, catch_exceptions=False)
        assert "version 1 is champion" in done.stdout

    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "t", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    message = eventually(lambda: consumer.poll(0.5), 30)
    told = json.loads(message.value())
    assert (told["type"], told["version"], told["former_version"]) == ("champion_changed", "1", None)
    assert message.key() == registry.name.encode()
    assert consumer.get_watermark_offsets(consumer.assignment()[0])[1] == 1
    consumer.close()


def test_the_champion_stands_when_kafka_cannot_be_told(
    registry: Registry,
    lake: Lake,
    mlflow_variables: dict[str, str],
    log: Callable[..., ModelVersion],
    weak: ContextAwareModel,
) -> None:
    log(weak)
    nobody = {"KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    environment = {**mlflow_variables, **nobody, "MODEL_NAME": registry.name, "PARQUET_OUT": lake.url}
    done = CliRunner().invoke(app, ["register"], env=environment, catch_exceptions=False)

    assert done.exit_code == 0
    assert in_use(registry) == "1"
    listed = CliRunner().invoke(app, ["register", "--list"], env=environment, catch_exceptions=False)
    assert "in use" in listed.stdout


def test_many_processes_may_open_a_new_registry_at_once(tmp_path: Path) -> None:
    program = (
        "from anmodel.registry import Registry; from anmodel.settings import RegistrySettings;"
        f"print(Registry(RegistrySettings.load(mlflow_tracking_uri='sqlite:///{tmp_path}/new/mlflow.db')).versions())"
    )
    opening = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in opening:
        said, complained = process.communicate(timeout=120)
        assert said.strip() == "[]", complained
