"""train: one snapshot in, one measured version of the model in a real MLflow registry out."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from anmodel.cli import app
from anmodel.errors import ContractError, LakeError, NotReadyError
from anmodel.lake import Lake, Written
from anmodel.registry import ModelVersion, Registry
from anmodel.snapshot.engine import Engine
from anmodel.snapshot.training import build_training
from anmodel.snapshots import contract
from anmodel.snapshots.samples import read_manifest, read_sample
from anmodel.train.page import CARD, PAGE
from anmodel.train.report import report
from anmodel.train.training import train
from batch.synthetic import fill_lake, write_training

PICTURES = {
    f"{name}.png" for name in ("roc", "pr", "gain", "lift", "calibration", "importance", "probability")
}  # fmt: skip


def change_rows(lake: Lake, change: Callable[[str, pd.DataFrame], None]) -> None:
    """Change the frames of `write_training`'s parts in place, as if the snapshot step had made them so."""
    manifest = lake.read_json("snapshots/model1/manifest.json")
    for part, written in manifest["files"].items():
        table = lake.read_table(msgspec.convert(written, Written).path("snapshots/model1", part)).to_pandas()
        change(part, table)
        changed = lake.add_table("snapshots/model1", part, pa.Table.from_pandas(table, preserve_index=False))
        manifest["files"][part] = msgspec.to_builtins(changed)
    lake.write_json("snapshots/model1/manifest.json", manifest)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("train")


@pytest.fixture(scope="module")
def lake(folder: Path) -> Lake:
    lake = Lake(str(folder / "lake"))
    write_training(lake)
    return lake


@pytest.fixture(scope="module")
def registry(registry_of: Callable[[str], Registry]) -> Registry:
    return registry_of("test_train")


@pytest.fixture(scope="module")
def version(lake: Lake, registry: Registry) -> ModelVersion:
    made, new = train(lake, registry, name="model1", threads=1)
    assert new
    return made


def test_the_model_is_measured_against_baselines_on_the_same_rows(version: ModelVersion) -> None:
    found = version.metrics

    assert found["test_roc_auc_low"] < found["test_roc_auc"] < found["test_roc_auc_high"]
    assert found["test_log_loss"] < min(found[f"baseline_{name}_log_loss"] for name in ("prevalence", "recency", "rfm"))
    assert found["baseline_recency_roc_auc"] > 0.6  # the made-up shoppers depend on it
    assert found["test_log_loss_saved_low"] > 0
    assert found["test_mae_amount"] < found["baseline_median_mae_amount"]
    assert {"test_f1", "test_pr_auc", "test_brier", "test_ece", "test_rmse_days", "test_rmse_amount"} <= set(found)


def test_the_version_keeps_contract_inputs_and_pictures(version: ModelVersion, registry: Registry) -> None:
    assert version.contract == contract(7)
    assert version.tags["data_fingerprint"] == "lake-1"
    assert version.tags["code.anmodel"]
    assert version.tags["code.lightgbm"]
    files = {item.path for item in mlflow.MlflowClient(registry._uri).list_artifacts(version.run_id)}
    assert files >= PICTURES | {"metrics.json", "contract.json", "notes.txt", "evaluation.json", PAGE, CARD}
    run = mlflow.MlflowClient(registry._uri).get_run(version.run_id)
    assert run.data.params["rows_train"] == "2000"
    assert mlflow.models.get_model_info(f"models:/{version.name}/{version.version}").signature is not None


def test_a_feature_that_knows_the_future_is_named(folder: Path, registry_of: Callable[[str], Registry]) -> None:
    lake = Lake(str(folder / "leaked"))
    write_training(lake, rows=600)
    change_rows(lake, lambda part, rows: rows.update({"orders_last_7d": rows["will_purchase"].astype(float)}))
    registry = registry_of("test_train_leaked")
    version, _ = train(lake, registry, name="model1", threads=1)

    assert "orders_last_7d alone tells buyers from others (ROC AUC 1.0)" in version.tags["notes"]
    assert "note: " in report(version, new=True)
    page = registry.file(version, PAGE)
    assert 'class="warning"' in page
    assert page.index("orders_last_7d alone tells buyers") < page.index("It forecasts better than")
    assert "**Warning:** orders_last_7d alone tells buyers" in registry.file(version, CARD)


def test_the_page_holds_all_it_shows_and_the_figures_of_the_version(version: ModelVersion, registry: Registry) -> None:
    page = registry.file(version, PAGE)

    assert page.count('<img src="data:image/png;base64,') == len(PICTURES)
    assert not re.search(r"<script|<link|https?://|src=\"(?!data:)|url\(", page)
    assert 'class="warning"' not in page
    for metric in ("test_roc_auc", "test_log_loss", "test_pr_auc", "baseline_rfm_brier", "baseline_recency_roc_auc"):
        assert f"{version.metrics[metric]:.4f}" in page
    assert "1,000 test rows of 200 users" in page
    assert "200 of 200 test users (1,000 of 1,000 rows) were in the training rows" in page
    assert all(f"<th>{title}</th>" in page for title in ("Region", "Known for", "Orders before", "Last seen", "Users"))


def test_the_card_tells_purpose_data_figures_and_versions(version: ModelVersion, registry: Registry) -> None:
    card = registry.file(version, CARD)

    assert "## What it is for" in card
    assert "| training | 2,000 rows of 400 users at one instant, 2026-03-01;" in card
    assert "embargo of 7 days" in card
    assert f"| features | {contract(7)['version']} |" in card
    assert f"| ROC AUC | {version.metrics['test_roc_auc']:.4f} ({version.metrics['test_roc_auc_low']:.4f} to" in card
    assert "**Warning:**" not in card


def test_a_tiny_shop_gets_a_page_that_says_what_could_not_be_measured(
    folder: Path, registry_of: Callable[[str], Registry]
) -> None:
    lake, registry = Lake(str(folder / "tiny")), registry_of("test_train_tiny")
    write_training(lake, rows=60)

    def nobody_buys(part: str, rows: pd.DataFrame) -> None:
        rows["region"] = "<script>alert(1)</script>"
        if part == "test":
            rows["will_purchase"] = np.uint8(0)
            rows["horizon_spend"] = 0.0
            rows[["days_to_next_purchase", "next_purchase_amount"]] = np.nan

    change_rows(lake, nobody_buys)
    version, _ = train(lake, registry, name="model1", threads=1)
    page, card = registry.file(version, PAGE), registry.file(version, CARD)

    for text in (
        "ROC AUC, PR AUC, gain and lift: the 30 test rows are without a buyer.",
        "Errors of days and amount: no purchase in the test rows",
        "The total of spend: nothing was spent in the test rows",
        "Intervals are rough: they rest on 6 users",
    ):
        assert text in page
        assert f"Not measured: {text}" in card
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</td><td>30</td>" in page
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page)


def test_the_page_of_the_newest_version_is_written_to_a_file(
    version: ModelVersion, mlflow_variables: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    environment = {**mlflow_variables, "MODEL_NAME": registry.name, "PARQUET_OUT": str(tmp_path)}
    done = CliRunner().invoke(app, ["train", "--report", str(page)], env=environment, catch_exceptions=False)
    newest = registry.newest()

    assert newest is not None
    assert done.exit_code == 0
    assert page.read_text() == registry.file(newest, PAGE)
    assert f"page.html tells of test_train version {newest.version}" in done.stdout


def test_without_a_version_there_is_no_page(mlflow_variables: dict[str, str], tmp_path: Path) -> None:
    environment = {**mlflow_variables, "MODEL_NAME": "test_train_none", "PARQUET_OUT": str(tmp_path)}

    with pytest.raises(NotReadyError, match=r"test_train_none has no version yet\. Run `anmodel train`"):
        CliRunner().invoke(app, ["train", "--report", "page.html"], env=environment, catch_exceptions=False)


def test_a_file_that_an_older_version_lacks_is_named(version: ModelVersion, registry: Registry) -> None:
    with pytest.raises(NotReadyError, match=r"has no other\.html: older code made it\. `anmodel train --force`"):
        registry.file(version, "other.html")


def test_the_same_rows_again_give_the_same_version_unless_forced(
    version: ModelVersion, lake: Lake, registry: Registry
) -> None:
    again, new = train(lake, registry, name="model1", threads=2)
    assert (again.version, new) == (version.version, False)

    forced, new = train(lake, registry, name="model1", threads=1, force=True)
    assert new
    assert forced.version != version.version
    assert forced.metrics == version.metrics


def test_other_rows_or_another_seed_give_another_version(
    version: ModelVersion, folder: Path, registry: Registry
) -> None:
    other = Lake(str(folder / "other"))
    write_training(other, rows=500, created_from="lake-2")

    assert train(other, registry, name="model1", threads=1)[1]
    assert train(other, registry, name="model1", threads=1, seed=1)[1]


def test_rows_of_an_older_version_are_learnt_again_since_only_the_newest_is_judged(
    folder: Path, registry_of: Callable[[str], Registry]
) -> None:
    registry = registry_of("test_train_back")
    first, second = Lake(str(folder / "first")), Lake(str(folder / "second"))
    write_training(first, rows=300, created_from="first")
    write_training(second, rows=300, created_from="second")
    numbers = [train(lake, registry, name="model1", threads=1)[0].version for lake in (first, second, first, first)]

    assert numbers == ["1", "2", "3", "3"]


def test_a_part_that_is_not_its_manifests_is_refused(folder: Path, registry: Registry) -> None:
    lake = Lake(str(folder / "mixed"))
    write_training(lake, rows=100)
    path = next(path for path in lake.sizes("snapshots/model1") if "/train-" in path)
    lake.write_table(path, lake.read_table(path).slice(1))
    with pytest.raises(LakeError, match="anmodel snapshot train --name model1"):
        train(lake, registry, name="model1")
    lake.write_json("snapshots/model1/manifest.json", {"name": "model1"})
    with pytest.raises(LakeError, match=r"lacks contract.*anmodel snapshot train --name model1"):
        train(lake, registry, name="model1")


def test_another_process_loads_the_model_and_answers_the_same(
    version: ModelVersion, registry: Registry, lake: Lake, folder: Path
) -> None:
    rows = read_sample(lake, read_manifest(lake, "model1"), "test").features.head(20)
    rows.to_parquet(folder / "rows.parquet")
    code = (
        "import sys, pandas; from anmodel.registry import Registry; from anmodel.settings import RegistrySettings\n"
        "registry = Registry(RegistrySettings.load(mlflow_tracking_uri=sys.argv[1], model_name='test_train'))\n"
        "model = registry.load(registry.version(sys.argv[2])).model\n"
        "print(model.predict(pandas.read_parquet(sys.argv[3])).to_json(orient='values', double_precision=15))"
    )
    arguments = [registry._uri, version.version, str(folder / "rows.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=folder
    )

    expected = registry.load(version).model.predict(rows)
    said = pd.DataFrame(json.loads(done.stdout), columns=expected.columns)
    pd.testing.assert_frame_equal(said, expected, check_dtype=False, check_index_type=False, rtol=1e-12)


def test_a_snapshot_of_other_code_is_refused(folder: Path, registry: Registry) -> None:
    lake = Lake(str(folder / "old"))
    write_training(lake, rows=100)
    lake.write_json(
        "snapshots/model1/manifest.json", {**lake.read_json("snapshots/model1/manifest.json"), "version": "0" * 12}
    )

    with pytest.raises(ContractError, match=r"000000000000.*anmodel snapshot train --name model1"):
        train(lake, registry, name="model1")


def test_without_a_snapshot_it_says_what_is_missing(folder: Path, registry: Registry) -> None:
    with pytest.raises(NotReadyError, match=r"snapshots/model1/manifest\.json is not there yet"):
        train(Lake(str(folder / "nothing")), registry, name="model1")


def test_a_young_shop_gets_a_model_with_notes(folder: Path, registry: Registry) -> None:
    lake = Lake(str(folder / "young"))
    write_training(lake, rows=60, share=0.01, created_from="young")
    version, _ = train(lake, registry, name="model1")

    assert version.metrics["notes"] >= 3
    assert "Everyone gets the same chance" in version.tags["notes"]


def test_the_command_fits_a_real_snapshot_and_prints_the_comparison(
    mlflow_variables: dict[str, str], registry_of: Callable[[str], Registry], tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    fill_lake(lake, users=120, days=60)
    (tmp_path / "scratch").mkdir()
    with Engine(tmp_path / "scratch", threads=2, memory_mb=1000) as engine:
        build_training(
            lake,
            engine,
            tmp_path / "scratch",
            name="shop",
            horizon_days=7,
            max_rows=3000,
            progress=lambda rows, note: None,
        )
    environment = {**mlflow_variables, "PARQUET_OUT": lake.url, "MODEL_NAME": "test_train_command"}
    done = CliRunner().invoke(app, ["train", "--name", "shop"], env=environment, catch_exceptions=False)

    assert done.exit_code == 0
    assert "test_train_command version 1 trained" in done.stdout
    assert "prevalence" in done.stdout
    found = registry_of("test_train_command").version("1").metrics
    assert found["test_roc_auc"] > 0.7
