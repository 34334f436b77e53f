"""Write the evaluation of a version: `evaluation.html`, one page with all it shows inside, and `model_card.md`."""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from anmodel.train import wording
from anmodel.train.card import Section
from anmodel.train.evaluating import Evaluation

PAGE = "evaluation.html"
CARD = "model_card.md"
BASELINES = {
    "prevalence": "prevalence (everyone the same)",
    "recency": "recency (days since last seen)",
    "frequency": "frequency (orders of 30 days)",
    "rfm": "rfm (recency, frequency, money)",
    "bgnbd": "BG/NBD",
}
_HORIZON = re.compile(r"test_ece_(\d+)d")
_PICTURES = ("roc", "pr", "gain", "lift", "calibration", "probability", "importance")


@dataclass(frozen=True)
class Page:
    """What the page tells. `warnings` stand at its top: features that may know the future."""

    model: str
    horizon_days: int
    card: list[Section]
    metrics: dict[str, float]
    found: Evaluation
    warnings: list[str]


def write_page(folder: Path, page: Page) -> None:
    """Write page and card beside the pictures that are in `folder`; a picture that is not there is left out."""
    pictures = {
        name: base64.b64encode(path.read_bytes()).decode()
        for name in _PICTURES
        if (path := folder / f"{name}.png").exists()
    }
    given = {
        "page": page,
        "pictures": pictures,
        "verdict": verdict(page.found),
        "baselines": BASELINES,
        "horizons": sorted(int(found[1]) for name in page.metrics if (found := _HORIZON.fullmatch(name))),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    templates = _templates()
    for name in (PAGE, CARD):
        (folder / name).write_text(templates.get_template(name).render(given))


def verdict(found: Evaluation) -> str:
    """The first sentence: is the model better than the best that a shop could do without it?"""
    best = found.best("log_loss")
    if best is None:
        return "There are no test rows to judge it by."
    against = f"the best baseline, {BASELINES[best.baseline]}"
    told = f"log loss {best.model:.4f} against {best.other:.4f}, 95 % interval of the gain "
    told += f"{wording.signed(best.low)} to {wording.signed(best.high)}"
    if best.low > 0:
        return f"It forecasts better than {against}: {told}."
    if best.high < 0:
        return f"It forecasts worse than {against}: {told}."
    return f"It is not shown to forecast better than {against}: {told}."


def _templates() -> Environment:
    """Names of features and regions come from a shop's events: they are escaped."""
    environment = Environment(
        loader=PackageLoader("anmodel.train"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(wording, name) for name in ("number", "signed", "share")}
    environment.globals |= {"interval": wording.interval, "nan": float("nan")}
    return environment
