"""The model card: what a version is for, from what it was made, how good it is, and what it cannot do."""

from dataclasses import dataclass, field
from typing import Any

from anmodel.model import ContextAwareModel
from anmodel.registry import code_versions
from anmodel.snapshots.samples import Sample
from anmodel.train.evaluating import Evaluation
from anmodel.train.wording import interval, number, share

PARTS = {"train": "Training", "val": "Validation", "test": "Test"}


@dataclass(frozen=True)
class Section:
    """A title, sentences, and facts by name."""

    title: str
    sentences: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def card(
    made: ContextAwareModel,
    manifest: dict[str, Any],
    parts: dict[str, Sample],
    metrics: dict[str, float],
    found: Evaluation,
) -> list[Section]:
    """The sections, in the order a reader asks."""
    return [
        _purpose(made.horizon_days),
        _data(manifest, parts),
        _method(made),
        _figures(metrics, found),
        _limits(made, found),
        Section(
            "Versions", facts={"features": str(manifest["version"]), "parameters": _parameters(made), **code_versions()}
        ),
    ]


def _purpose(days: int) -> Section:
    return Section(
        "What it is for",
        [
            f"It says of a shop's known users, as of an instant, how likely they buy within {days} days, when and for "
            "how much if they do, and what they spend in that time.",
            "Use it to choose whom to address first, to plan for totals, and to see why a user is likely to buy.",
            "Not for users who were never seen before, nor for another shop than the one it learnt from.",
            "Not for what a message or a discount would change: who will buy is not who will buy because of it.",
            "Not for decisions about a person's credit, price, work or rights.",
        ],
    )


def _data(manifest: dict[str, Any], parts: dict[str, Sample]) -> Section:
    facts = {
        "snapshot": f"{manifest['name']}, of {manifest['created_from']}",
        "horizon": f"{manifest['horizon_days']} days",
        "split": f"by {manifest['split']}, embargo of {manifest.get('embargo_days', manifest['horizon_days'])} days "
        "between the parts"
        if manifest["split"] == "time"
        else "by users: the history is too short for a split by time",
    }
    for part, title in PARTS.items():
        rows, times = parts[part], manifest["instants"][part]
        facts[title.lower()] = (
            f"{len(rows.bought):,} rows of {len(set(rows.users)):,} users at {_instants(times)}; "
            f"{share(rows.bought.mean() if len(rows.bought) else float('nan'))} buy"
        )
    return Section("Data", ["A row is a user as of an instant: features from before it, targets from after it."], facts)


def _instants(times: list[str]) -> str:
    first, last = times[0][:10], times[-1][:10]
    return f"one instant, {first}" if len(times) == 1 else f"{len(times)} instants, {first} to {last}"


def _method(made: ContextAwareModel) -> Section:
    calibrated = {"none": "not calibrated", "platt": "calibrated by a logistic line"}
    told = calibrated.get(made.calibration_, f"calibrated by {made.calibration_} regression")
    return Section(
        "Method",
        [
            f"Chance: {made.trees_} gradient boosted trees (LightGBM), {told} on the validation rows."
            if made.trees_
            else "Chance: the share of buyers, the same for everyone; there was too little to learn from.",
            "Days and amount: quantiles from buyers alone, with 80 % intervals widened or narrowed on the validation "
            "rows. Spend: a median, and a mean scaled to the validation rows' total.",
            "Every figure here is of the test rows, which nothing was learnt from or tuned on. 95 % intervals draw "
            "users with replacement, 200 times; a gain's interval draws the same users for both.",
        ],
    )


def _figures(metrics: dict[str, float], found: Evaluation) -> Section:
    facts = {}
    for name, title in (("roc_auc", "ROC AUC"), ("log_loss", "log loss"), ("brier", "Brier score")):
        if f"test_{name}" in metrics:
            facts[title] = f"{number(metrics[f'test_{name}'])} {interval(*found.intervals[name])}"
    for name, title in (("pr_auc", "PR AUC"), ("ece", "calibration error")):
        if f"test_{name}" in metrics:
            facts[title] = number(metrics[f"test_{name}"])
    for name, of in found.totals.items():
        facts[f"{name}, forecast to actual"] = f"{number(of.ratio, 3)} {interval(of.low, of.high, 3)}"
    if best := found.best("log_loss"):
        facts[f"log loss saved against {best.baseline}"] = f"{number(best.gain)} {interval(best.low, best.high)}"
    return Section("Figures", [f"{found.rows:,} test rows of {found.users:,} users, {found.buyers:,} bought."], facts)


def _limits(made: ContextAwareModel, found: Evaluation) -> Section:
    return Section(
        "Limits",
        [
            *made.notes_,
            *(f"Not measured: {text}" for text in found.unmeasured),
            "A season that begins after the newest training instant is not known to it.",
            "Labels of instants closer than the horizon overlap; intervals by users allow for that, counts of rows do "
            "not.",
        ],
    )


def _parameters(made: ContextAwareModel) -> str:
    return ", ".join(f"{name} {value}" for name, value in made.get_params().items() if name != "n_jobs")
