"""A version's metrics as a few lines for a person."""

from anmodel.registry import ModelVersion

_CHANCE = ("roc_auc", "pr_auc", "log_loss", "brier")
_MODELS = {
    "model": "test_",
    "bgnbd": "baseline_bgnbd_",
    "rfm": "baseline_rfm_",
    "frequency": "baseline_frequency_",
    "recency": "baseline_recency_",
    "prevalence": "baseline_prevalence_",
}


def report(version: ModelVersion, *, new: bool) -> str:
    """The model against the baselines on the same test rows, a line each; what was not measured is left out."""
    found = version.metrics
    lines = [
        f"{version.name} version {version.version} "
        + ("trained" if new else "exists already, of the same rows, parameters and code")
    ]
    lines.append("  " + "".join(title.rjust(12) for title in ("test rows", *_CHANCE)))
    for name, prefix in _MODELS.items():
        if f"{prefix}log_loss" in found:
            cells = [f"{found[prefix + metric]:.4f}" if prefix + metric in found else "-" for metric in _CHANCE]
            lines.append("  " + name.rjust(12) + "".join(cell.rjust(12) for cell in cells))
    for what, unit in (("days", " days"), ("amount", "")):
        if f"test_mae_{what}" in found:
            median = found.get(f"baseline_median_mae_{what}", float("nan"))
            lines.append(
                f"  {what} of buyers: off by {found[f'test_mae_{what}']:.2f}{unit} on average "
                f"(the median buyer: {median:.2f}), {found[f'test_coverage_{what}']:.0%} inside the 80 % interval"
            )
    if "test_spend_total" in found:
        lines.append(
            f"  spend within the horizon: off by {found['test_mae_spend']:.2f} on average, "
            f"in total {found['test_spend_total']:.0%} of what was spent"
        )
    if version.tags.get("notes"):
        lines.append(f"  note: {version.tags['notes']}")
    lines.append("  its evaluation page: anmodel train --report evaluation.html")
    return "\n".join(lines)
