"""`anmodel register`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from anmodel.errors import InputError, TopicError
from anmodel.settings import RegisterSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.lake import Lake
    from anmodel.register.promotion import Outcome
    from anmodel.register.serving import Serving
    from anmodel.registry import Registry

log = structlog.get_logger()


def command(
    version: Annotated[str | None, typer.Option(help="Put this version in use, whatever its metrics.")] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Put the version before the champion in use.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the versions and change nothing.")] = False,
) -> None:
    """Make the newest version champion if it is the first or better than the one in use, on the same test rows.

    Better: log loss or ROC AUC beyond chance (users drawn anew), and neither worse beyond chance. Safe to cut short and
    repeat. A new champion is told on the topic of model events. Predictors of the registry find it by themselves;
    with SERVING=kserve it is first tried beside the champion, and rejected if it does not serve as it must.
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
    lake = Lake(settings.parquet_out)
    serving = _serving(settings, registry, lake)
    with serving.alone():
        if rollback:
            outcome = roll_back(registry, serving)
        elif version is not None:
            outcome = promote_version(registry, version)
        else:
            outcome = promote_newest(registry, lake, serving)
        try:
            if outcome.champion is not None:
                serving.settle(outcome.champion)
        finally:
            _announce(settings, outcome)
    typer.echo(_told(registry.name, outcome))


def _serving(settings: RegisterSettings, registry: "Registry", lake: "Lake") -> "Serving":
    """Who serves the champion, as SERVING says."""
    if settings.serving == "kserve":
        from anmodel.cluster import Cluster
        from anmodel.register.kserve import KServe

        return KServe(Cluster.connect(settings.kubernetes_namespace), settings, registry, lake)
    from anmodel.register.serving import ServedFromRegistry

    return ServedFromRegistry()


def _told(name: str, outcome: "Outcome") -> str:
    if outcome.champion is None:
        return f"{name} has no champion. {outcome.reason}"
    return f"{name} version {outcome.champion.version} is champion. {outcome.reason}"


def _announce(settings: RegisterSettings, outcome: "Outcome") -> None:
    """Tell the topic what happened, if anything did; it stands even if nobody could be told."""
    from anmodel.topic import announce

    message = message_of(outcome, datetime.now(UTC))
    if message is None:
        return
    try:
        announce(settings, settings.model_topic, message)
    except TopicError as error:
        log.warning("not announced", topic=settings.model_topic, type=message["type"], error=str(error))


def message_of(outcome: "Outcome", at: datetime) -> dict[str, Any] | None:
    """What the topic of model events is told: of a new champion, or of a version rejected; None of nothing new."""
    champion, told = outcome.champion, {"reason": outcome.reason, "at": at.isoformat(timespec="milliseconds")}
    if outcome.rejected is not None:
        return {
            "type": "version_rejected",
            "model": outcome.rejected.name,
            "version": outcome.rejected.version,
            "champion_version": champion.version if champion else None,
            **told,
        }
    if champion is None or not outcome.changed:
        return None
    return {
        "type": "champion_changed",
        "model": champion.name,
        "version": champion.version,
        "former_version": outcome.former.version if outcome.former else None,
        "snapshot_version": champion.snapshot_version,
        **told,
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
