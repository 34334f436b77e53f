"""Pictures of how good a model is, as PNG files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from anmodel.model.evaluation import Array
from anmodel.train.deciles import deciles, gain_curve

_BLUE, _GREY, _ORANGE = "#1f5fa8", "#8a8a8a", "#d9730d"


_STYLES: tuple[Any, ...] = ("-", ":", "--", "-.", (0, (1, 4)), (0, (5, 1, 1, 1, 1, 1)))
"""Of the lines, one a forecast."""


def draw_plots(folder: Path, bought: Array, chances: dict[str, Array], importance: "pd.Series[float]") -> list[Path]:
    """Write roc, pr, gain, lift, calibration, probability and importance; the first four only where both kinds are.

    `chances` holds the chances by each forecast, the model's under `model`.
    """
    plots: dict[str, Callable[[Axes], None]] = {
        "calibration": lambda axes: _calibration(axes, bought, chances["model"]),
        "probability": lambda axes: _probability(axes, bought, chances["model"]),
        "importance": lambda axes: _importance(axes, importance),
    }
    if 0 < bought.sum() < len(bought):
        plots["roc"] = lambda axes: _roc(axes, bought, chances)
        plots["pr"] = lambda axes: _pr(axes, bought, chances)
        plots["gain"] = lambda axes: _gain(axes, bought, chances)
        plots["lift"] = lambda axes: _lift(axes, bought, chances["model"])
    return [_save(folder / f"{name}.png", draw) for name, draw in sorted(plots.items())]


def _save(path: Path, draw: Callable[[Axes], None]) -> Path:
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def _color(name: str) -> str:
    return _BLUE if name == "model" else _GREY


def _roc(axes: Axes, bought: Array, chances: dict[str, Array]) -> None:
    for (name, proba), style in zip(chances.items(), _STYLES, strict=False):
        wrong, right, _ = roc_curve(bought, proba)
        axes.plot(wrong, right, linestyle=style, color=_color(name), label=name)
    axes.set(title="Buyers found against others bothered (ROC)", xlabel="share of others", ylabel="share of buyers")
    axes.legend()


def _pr(axes: Axes, bought: Array, chances: dict[str, Array]) -> None:
    for (name, proba), style in zip(chances.items(), _STYLES, strict=False):
        if name == "prevalence":  # the curve of a constant is one point; a line through it would mislead
            axes.axhline(bought.mean(), linestyle=style, color=_color(name), label=name)
            continue
        precision, recall, _ = precision_recall_curve(bought, proba)
        axes.plot(recall, precision, linestyle=style, color=_color(name), label=name)
    axes.set(
        title="Precision and recall", xlabel="share of buyers found", ylabel="share of chosen who buy", ylim=(0, 1.02)
    )
    axes.legend()


def _gain(axes: Axes, bought: Array, chances: dict[str, Array]) -> None:
    for (name, proba), style in zip(chances.items(), _STYLES, strict=False):
        axes.plot(*gain_curve(bought, proba), linestyle=style, color=_color(name), label=name)
    axes.set(title="Gain: buyers reached", xlabel="share of users taken, best first", ylabel="share of all buyers")
    axes.legend()


def _lift(axes: Axes, bought: Array, proba: Array) -> None:
    tenths = deciles(bought, proba)
    axes.bar([tenth.number for tenth in tenths], [tenth.lift for tenth in tenths], color=_BLUE)
    axes.axhline(1, color=_GREY, linestyle=":", label="everyone")
    axes.set(
        title="Lift: how many times more buyers than among everyone",
        xlabel="tenth of the users, best first",
        ylabel="times",
        xticks=[tenth.number for tenth in tenths],
    )
    axes.legend()


def _calibration(axes: Axes, bought: Array, proba: Array) -> None:
    chunks = [rows for rows in np.array_split(np.argsort(proba, kind="stable"), 10) if len(rows)]
    said = [float(proba[rows].mean()) for rows in chunks]
    happened = [float(bought[rows].mean()) for rows in chunks]
    top = max(0.05, *said, *happened) * 1.05
    axes.plot([0, top], [0, top], color=_GREY, linestyle=":", label="as said")
    axes.plot(said, happened, "o-", color=_BLUE, label="tenths of the users")
    axes.set(
        title="Is a chance of 30 % really 30 %?",
        xlabel="chance",
        ylabel="share who bought",
        xlim=(0, top),
        ylim=(0, top),
    )
    axes.legend()


def _probability(axes: Axes, bought: Array, proba: Array) -> None:
    bins = np.linspace(0, 1, 41).tolist()
    axes.hist(proba[bought == 0], bins=bins, color=_GREY, alpha=0.7, label="did not buy")
    axes.hist(proba[bought > 0], bins=bins, color=_ORANGE, alpha=0.8, label="bought")
    axes.set(title="Chances given", xlabel="chance", ylabel="users (log scale)", yscale="symlog")
    axes.legend()


def _importance(axes: Axes, importance: "pd.Series[float]") -> None:
    top = importance.head(20)[::-1]
    axes.barh([str(name) for name in top.index], top.to_numpy(), color=_BLUE)
    axes.tick_params(axis="y", labelsize=8)
    axes.set(title="What the chance depends on", xlabel="share of the trees' gain")
