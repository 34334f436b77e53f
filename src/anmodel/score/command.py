"""`anmodel score`."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from anmodel.errors import InputError
from anmodel.settings import ScoreSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.lake import Lake
    from anmodel.registry import Registry
    from anmodel.snapshots.daily import DailySnapshot
    from anmodel.warehouse import Warehouse

log = structlog.get_logger()

command = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

Run = Annotated[str, typer.Option("--run", help="Name of the run: letters, digits, - _ and .")]


@command.callback(invoke_without_command=True)
def score(context: typer.Context) -> None:
    """Forecast every user of the newest daily snapshot with the champion. Safe to repeat.

    Writes to ClickHouse's forecasts; the run is seen once it is complete. In pods beside each other: `plan`, a `shard`
    each, then `finish`.
    """
    if context.invoked_subcommand is not None:
        return
    from anmodel.score.scoring import score as score_all
    from anmodel.snapshots.daily import DailySnapshot

    settings, lake = _opened()
    registry = _registry(settings)
    snapshot = DailySnapshot.newest(lake)
    _warn_of_late_events(snapshot)
    _tell(score_all(snapshot, registry, _warehouse(settings), reasons_users=settings.reasons_users))


@command.command()
def plan(
    run: Run,
    shards: Annotated[int, typer.Option(min=1, max=1000, help="Into how many shares to cut the users.")],
    date_: Annotated[
        str | None, typer.Option("--date", help="Day of the snapshot, YYYY-MM-DD (UTC). [the newest snapshot]")
    ] = None,
) -> None:
    """Fix snapshot, version and shards of a run. Made again, it changes nothing while those are the same."""
    from anmodel.score.plan import champion, keep_plan, make_plan, plan_path
    from anmodel.snapshots.daily import DailySnapshot

    plan_path(run)
    day = _day(date_) if date_ else None
    settings, lake = _opened()
    registry = _registry(settings)
    snapshot = DailySnapshot.of_day(lake, day) if day else DailySnapshot.newest(lake)
    version = champion(registry)
    snapshot.check(version.contract, f"{version.name} version {version.version}")
    _warn_of_late_events(snapshot)
    made = keep_plan(
        lake,
        make_plan(
            run,
            snapshot,
            version,
            shards=shards,
            reasons_users=settings.reasons_users,
            scored_at=datetime.now(UTC),
        ),
    )
    typer.echo(
        f"run {run}: {made.users:,} users as of {made.snapshot_time.isoformat()} by {made.model_name} version "
        f"{made.model_version} in {shards} shards, the largest of {max(made.shard_users):,}"
    )


@command.command()
def shard(run: Run, shard: Annotated[int, typer.Option(min=0, help="Number of the shard, from 0 on.")]) -> None:
    """Forecast the users of one shard. Safe to repeat."""
    from anmodel.score.plan import planned_model, read_plan
    from anmodel.score.scoring import forecast_shard

    settings, lake = _opened()
    registry = _registry(settings)
    made = read_plan(lake, run)
    if shard >= len(made.shard_users):
        raise InputError(f"--shard {shard}: run {run} has {len(made.shard_users)} shards, numbered from 0 on")
    snapshot = made.snapshot(lake)
    done = forecast_shard(made, shard, snapshot, planned_model(registry, made), _warehouse(settings))
    typer.echo(f"run {run}: {done:,} users of shard {shard} forecast")


@command.command()
def finish(run: Run) -> None:
    """Let readers see the run, if the forecasts of all its shards are there; else say which are missing."""
    from anmodel.score.finishing import finish as finish_run
    from anmodel.score.plan import read_plan

    settings, lake = _opened()
    _tell(finish_run(read_plan(lake, run), _warehouse(settings)))


def _opened() -> "tuple[ScoreSettings, Lake]":
    settings = ScoreSettings.load()
    configure_logging(settings)
    from anmodel.lake import Lake

    return settings, Lake(settings.parquet_out)


def _registry(settings: ScoreSettings) -> "Registry":
    from anmodel.registry import Registry

    return Registry(settings)


def _warehouse(settings: ScoreSettings) -> "Warehouse":
    from anmodel.warehouse import Warehouse

    return Warehouse.connect(settings)


def _warn_of_late_events(snapshot: "DailySnapshot") -> None:
    if late := snapshot.late_events():
        log.warning("snapshot out of date", reason=late)


def _tell(run: dict[str, Any]) -> None:
    typer.echo(
        f"{run['users']:,} users forecast by {run['model_name']} version {run['model_version']} "
        f"as of {run['snapshot_time'].isoformat()}, {run['horizon_days']} days ahead"
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--date {text!r}: allowed is a day as 2026-01-31") from error
