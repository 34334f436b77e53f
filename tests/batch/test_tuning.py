"""Tuning: folds in the order of time, a search that can be cut short, and defaults that stay unless they are beaten."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from anmodel.lake import Lake
from anmodel.model import ContextAwareModel
from anmodel.registry import Registry
from anmodel.snapshots.samples import Sample, read_manifest, read_sample
from anmodel.train import tuning
from anmodel.train.training import train
from anmodel.train.tuning import FOLDS, Search, Trial, folds, kept_search, tune
from batch.synthetic import SHOP_START, feature_rows, write_training

Parts = dict[str, Sample]


def days(*given: float) -> np.ndarray[Any, Any]:
    return np.array([SHOP_START.replace(tzinfo=None) + timedelta(days=day) for day in given], dtype="datetime64[ms]")


def test_each_fold_is_judged_on_later_rows_a_horizon_after_the_last_it_fits_on() -> None:
    instants = np.repeat(days(*range(100)), 3)
    found = folds(instants, 7)

    assert len(found) == FOLDS
    for fold in found:
        assert instants[fold.fit].max() + np.timedelta64(7, "D") == instants[fold.judge].min()
        assert not (fold.fit & fold.judge).any()
    judged = [set(instants[fold.judge].tolist()) for fold in found]
    assert sum(map(len, judged)) == len(set.union(*judged))
    assert max(judged[-1]) == instants.max().item()


def test_few_instants_give_few_folds() -> None:
    assert len(folds(days(0, 20), 7)) < FOLDS


@pytest.mark.parametrize(
    ("losses", "beaten"),
    [([0.49, 0.49, 0.49], True), ([0.4, 0.4, 0.5], False), ([0.3], False)],
)
def test_the_defaults_stay_unless_they_are_beaten_in_every_fold(losses: list[float], beaten: bool) -> None:
    search = Search("v", "rows", [Trial({}, [0.5, 0.5, 0.5]), Trial({"num_leaves": 8}, losses)])
    assert search.chosen == ({"num_leaves": 8} if beaten else {})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A training snapshot whose instants are spread over the time of its parts."""
    lake = Lake(str(tmp_path))
    write_training(lake, rows=1200)
    manifest = lake.read_json("snapshots/model1/manifest.json", dict[str, Any])
    for number, part in enumerate(("train", "val")):
        features, targets = feature_rows(manifest["rows"][part], seed=100 + number)
        at = [SHOP_START + timedelta(days=100 * number + row % 80) for row in range(len(features))]
        meta = pd.DataFrame({"user_id": [f"user-{row // 5:05}" for row in range(len(features))], "region": ""})
        meta["snapshot_time"] = at
        table = pa.Table.from_pandas(pd.concat([meta, features, targets], axis=1), preserve_index=False)
        manifest["files"][part] = msgspec.to_builtins(lake.add_table("snapshots/model1", part, table))
    lake.write_json("snapshots/model1/manifest.json", manifest)
    return lake


def searched(lake: Lake, seconds: float) -> Search:
    manifest = read_manifest(lake, "model1")
    parts = {part: read_sample(lake, manifest, part) for part in ("train", "val", "test")}
    model = ContextAwareModel(max_trees=20, learning_rate=0.1, n_jobs=1)
    return tune(lake, manifest, parts, model, identity="this", seconds=seconds, progress=lambda done, note: None)


def test_a_search_goes_on_where_it_was_cut_short(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "MOST_TRIALS", 3)
    first = searched(lake, 60)
    monkeypatch.setattr(tuning, "MOST_TRIALS", 5)
    second = searched(lake, 60)

    assert first.trials[0].parameters == {}
    assert len(first.trials) == 3
    assert second.trials[:3] == first.trials
    assert len(second.trials) == 5
    tried = [tuple(sorted(trial.parameters.items())) for trial in second.trials]
    assert len(set(tried)) == 5
    assert kept_search(lake, "model1", read_manifest(lake, "model1")["version"]) == second


def test_the_same_rows_and_seed_are_searched_alike(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "MOST_TRIALS", 4)
    first = searched(lake, 60)
    lake.delete("snapshots/model1/tuning.json")
    assert searched(lake, 60) == first


def test_time_ends_a_search(lake: Lake) -> None:
    assert len(searched(lake, 0.001).trials) == 1  # the first is always begun


def test_other_rows_begin_anew_with_what_was_best(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "MOST_TRIALS", 2)
    version = read_manifest(lake, "model1")["version"]
    best = {"learning_rate": 0.1, "num_leaves": 9, "min_data_in_leaf": 30, "feature_fraction": 0.5, "lambda_l2": 2.0}
    before = Search(version, "other rows", [Trial({}, [9.0] * FOLDS), Trial(best, [8.0] * FOLDS)])
    lake.write_json("snapshots/model1/tuning.json", msgspec.to_builtins(before))

    found = searched(lake, 60)
    assert [trial.parameters for trial in found.trials] == [{}, best]
    assert found.trials[0].losses[0] < 1


def test_what_was_best_before_counts_until_it_is_tried_on_the_new_rows() -> None:
    best = {"num_leaves": 9}
    default = Trial({}, [0.5] * FOLDS)
    assert Search("v", "this", before=best).chosen == best
    assert Search("v", "this", [default], before=best).chosen == best
    assert Search("v", "this", [default, Trial(best, [0.6] * FOLDS)], before=best).chosen == {}


def test_a_short_history_is_not_searched(lake: Lake) -> None:
    manifest = lake.read_json("snapshots/model1/manifest.json", dict[str, Any])
    lake.write_json("snapshots/model1/manifest.json", manifest | {"split": "users"})
    assert searched(lake, 60).trials == []


def test_a_version_is_trained_with_what_tuning_found(
    lake: Lake, registry_of: Callable[[str], Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "MOST_TRIALS", 2)
    monkeypatch.setattr(Search, "chosen", {"num_leaves": 5, "feature_fraction": 0.5})
    registry = registry_of("tuned")
    version, new = train(lake, registry, name="model1", threads=1, tune_minutes=1)
    model = registry.load(version).model

    assert new
    assert (model.num_leaves, model.feature_fraction, model.lambda_l2) == (5, 0.5, 1.0)
    assert max(tree["num_leaves"] for tree in model._classifier.booster.booster.dump_model()["tree_info"]) <= 5
    assert train(lake, registry, name="model1", threads=1) == (version, False)  # it stays so without another search
