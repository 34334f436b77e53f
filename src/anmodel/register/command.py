"""`anmodel register`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from anmodel.errors import InputError, TopicError
from anmodel.settings import RegisterSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.register.promotion import Outcome
    from anmodel.registry import Registry

log = structlog.get_logger()


def command(
    version: Annotated[str | None, typer.Option(help="Put this version in use, whatever its metrics.")] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Put the version before the champion in use.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the versions and change nothing.")] = False,
) -> None:
    """Make the newest version champion if it is the first or better than the one in use, on the same test rows.

    Better: log loss or ROC AUC beyond chance (users drawn anew), and neither worse beyond chance. Safe to repeat. A new
    champion is told on the topic of model events; the predictor finds it by itself.
    """
    if sum((version is not None, rollback, show)) > 1:
        raise InputError("--version, --rollback and --list exclude each other; give one of them.")
    settings = RegisterSettings.load()
    configure_logging(settings)

    from anmodel.lake import Lake
    from anmodel.register.promotion import promote_newest, promote_version, roll_back
    from anmodel.registry import Registry

    registry = Registry(settings)
    if show:
        typer.echo(_listed(registry))
        return
    if rollback:
        outcome = roll_back(registry)
    elif version is not None:
        outcome = promote_version(registry, version)
    else:
        outcome = promote_newest(registry, Lake(settings.parquet_out))
    if outcome.changed:
        _announce(settings, outcome)
    typer.echo(f"{outcome.champion.name} version {outcome.champion.version} is champion. {outcome.reason}")


def _announce(settings: RegisterSettings, outcome: "Outcome") -> None:
    """Tell the topic; the champion stands even if nobody could be told."""
    from anmodel.topic import announce

    try:
        announce(settings, settings.model_topic, message(outcome, datetime.now(UTC)))
    except TopicError as error:
        log.warning("new champion not announced", topic=settings.model_topic, error=str(error))


def message(outcome: "Outcome", at: datetime) -> dict[str, Any]:
    """What the topic of model events is told of a new champion."""
    return {
        "event": "champion_changed",
        "model": outcome.champion.name,
        "version": outcome.champion.version,
        "former_version": outcome.former.version if outcome.former else None,
        "snapshot_version": outcome.champion.snapshot_version,
        "reason": outcome.reason,
        "at": at.isoformat(timespec="milliseconds"),
    }


def _listed(registry: "Registry") -> str:
    """A line a version, the newest first."""
    champion = registry.champion()
    lines = [f"{'version':>7}  {'trained':16}  {'decision':12}  {'ROC AUC':>8}  {'log loss':>8}  reason"]
    for each in registry.versions():
        in_use = champion is not None and champion.version == each.version
        auc, loss = (each.metrics.get(key, float("nan")) for key in ("test_roc_auc", "test_log_loss"))
        decision = "in use" if in_use else each.tags.get("decision", "not judged").replace("champion", "former")
        lines.append(
            f"{each.version:>7}  {each.created_at:%Y-%m-%d %H:%M}  {decision:12}  {auc:8.4f}  {loss:8.4f}  "
            f"{each.tags.get('reason', '')}"
        )
    return "\n".join(lines) if len(lines) > 1 else f"{registry.name} has no versions yet. Run `anmodel train`."
