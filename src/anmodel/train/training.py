"""Fit, measure and register one model. Safe to repeat: the same rows, parameters and code are one version."""

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog

from anmodel.lake import Lake
from anmodel.model import (
    ContextAwareModel,
    boosting,
    calibration,
    classifier,
    distribution,
    encoding,
    estimator,
    evaluation,
    frames,
    horizons,
    prior,
    quantiles,
    spend,
)
from anmodel.model.evaluation import forecast_metrics
from anmodel.progress import ProgressLine
from anmodel.registry import ModelVersion, Registry, code_versions
from anmodel.snapshots.samples import Sample, late_events_of, read_manifest, read_sample
from anmodel.train.baselines import baseline_chances, baseline_metrics
from anmodel.train.card import card
from anmodel.train.evaluating import evaluate
from anmodel.train.leaks import suspects
from anmodel.train.page import Page, write_page
from anmodel.train.plots import draw_plots
from anmodel.train.tuning import kept_search, tune

log = structlog.get_logger()

_CODE = (
    boosting,
    calibration,
    classifier,
    distribution,
    encoding,
    estimator,
    evaluation,
    frames,
    horizons,
    prior,
    quantiles,
    spend,
)
_EXAMPLE_ROWS = 5


def train(
    lake: Lake,
    registry: Registry,
    *,
    name: str,
    seed: int = 42,
    threads: int = 0,
    force: bool = False,
    tune_minutes: float = 0,
) -> tuple[ModelVersion, bool]:
    """Make a version of the model from the snapshot `name`; returns it, and whether it is new.

    The newest version is returned as it is, unless `force`, when it is of the same rows, parameters and code; an older
    one is made again, since `register` judges the newest alone. The new one is not in use until `register` says so.
    Rows too few to learn from give a simple model with notes, not an error. The trees' parameters are those that tuning
    found best, now or at an earlier time.
    """
    manifest = read_manifest(lake, name)
    made = ContextAwareModel(horizon_days=int(manifest["horizon_days"]), random_state=seed, n_jobs=threads)
    parts: dict[str, Sample] = {}
    if tune_minutes:
        parts, untuned = _rows(lake, manifest), _identity(manifest, made)
        with ProgressLine("tuning", unit="trials") as line:
            tune(lake, manifest, parts, made, identity=untuned, seconds=60 * tune_minutes, progress=line.show)
    if search := kept_search(lake, name, manifest["version"]):
        made.set_params(**search.chosen)
        log.info("parameters of the newest tuning", trials=len(search.trials), better=search.chosen or "none")
    identity = _identity(manifest, made)
    newest = registry.newest()
    if newest is not None and newest.tags.get("identity") == identity and not force:
        log.info("training skipped, the version exists", version=newest.version, hint="--force trains all the same")
        return newest, False
    contract = manifest["contract"]
    parts = parts or _rows(lake, manifest)
    with _step("model fitted", rows=len(parts["train"].features)):
        later = (parts["val"].features, parts["val"].targets)
        users = (parts["train"].users, parts["val"].users)
        made.fit(parts["train"].features, parts["train"].targets, validation=later, users=users, contract=contract)
    suspected = _warnings(parts["test"])
    made.notes_ += [*suspected, *late_events_of(lake, manifest)]
    for note in made.notes_:
        log.warning("model limited", note=note)
    with tempfile.TemporaryDirectory() as folder:
        with _step("model measured"):
            metrics = _measure(made, manifest, parts, Path(folder), registry.name, suspected)
        with _step("version registered"):
            version = registry.log(
                made,
                contract=contract,
                metrics=metrics,
                params=_parameters(made, manifest, parts),
                files=Path(folder),
                inputs=_inputs(name, manifest, identity, made),
                example=parts["test"].features.head(_EXAMPLE_ROWS),
            )
    return version, True


def _rows(lake: Lake, manifest: dict[str, Any]) -> dict[str, Sample]:
    with _step("rows read"):
        return {part: read_sample(lake, manifest, part) for part in ("train", "val", "test")}


def _warnings(test: Sample) -> list[str]:
    return [
        f"{name} alone tells buyers from others (ROC AUC {auc}): does it know what happened after its instant?"
        for name, auc in suspects(test).items()
    ]


def _measure(
    made: ContextAwareModel,
    manifest: dict[str, Any],
    parts: dict[str, Sample],
    folder: Path,
    model: str,
    suspected: list[str],
) -> dict[str, float]:
    """Metrics of the test rows, of the baselines on the same rows, and the page and files beside them."""
    metrics: dict[str, float] = {"notes": float(len(made.notes_))}
    train, test = parts["train"], parts["test"]
    forecast = made.forecast(test.features)
    metrics |= {f"test_{metric}": value for metric, value in forecast_metrics(test.targets, forecast).items()}
    baselines = baseline_chances(train, test, made.horizon_days)
    metrics |= baseline_metrics(train, test, baselines)
    evaluation = evaluate(train, test, forecast, baselines)
    metrics |= evaluation.metrics()
    chances = {"model": forecast["purchase_proba"].to_numpy(), **baselines}
    draw_plots(folder, test.bought, chances, made.feature_importance_)
    sections = card(made, manifest, parts, metrics, evaluation)
    write_page(folder, Page(model, made.horizon_days, sections, metrics, evaluation, suspected))
    (folder / "evaluation.json").write_bytes(msgspec.json.format(msgspec.json.encode(evaluation), indent=1))
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1, sort_keys=True))
    (folder / "notes.txt").write_text("\n".join(made.notes_) or "Nothing to note.")
    return metrics


def _parameters(made: ContextAwareModel, manifest: dict[str, Any], parts: dict[str, Sample]) -> dict[str, Any]:
    return {
        **made.get_params(),
        "trees": made.trees_,
        "calibration": made.calibration_,
        "threshold": round(made.optimal_threshold_, 6),
        "split": manifest.get("split", "time"),
        **{f"rows_{part}": len(rows.features) for part, rows in parts.items()},
    }


def _inputs(name: str, manifest: dict[str, Any], identity: str, made: ContextAwareModel) -> dict[str, str]:
    return {
        "snapshot_name": name,
        "identity": identity,
        "data_fingerprint": str(manifest["created_from"]),
        "instants": json.dumps({part: [times[0], times[-1]] for part, times in manifest["instants"].items() if times}),
        "notes": " ".join(made.notes_),
    }


def _identity(manifest: dict[str, Any], made: ContextAwareModel) -> str:
    """A hash of all that the model depends on: rows, parameters (threads change nothing) and code."""
    parameters = {key: value for key, value in made.get_params().items() if key != "n_jobs"}
    rows = {key: manifest[key] for key in ("name", "version", "horizon_days", "created_from", "instants", "rows")}
    sources = [hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for module in _CODE]
    text = json.dumps([rows, parameters, sources, code_versions()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _step(done: str, **facts: Any) -> Iterator[None]:
    """Log what was done and how long it took."""
    started = time.monotonic()
    yield
    log.info(done, seconds=round(time.monotonic() - started, 1), **facts)
