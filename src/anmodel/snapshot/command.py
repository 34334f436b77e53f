"""`anmodel snapshot`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anmodel.errors import InputError
from anmodel.settings import SnapshotSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.lake import Lake
    from anmodel.snapshot.engine import Engine

command = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@command.callback(invoke_without_command=True)
def snapshot(
    context: typer.Context,
    describe: Annotated[
        bool, typer.Option("--describe", help="Print the features: name, block, unit, meaning.")
    ] = False,
) -> None:
    """Build features from the lake's events: `train` for fitting a model, `daily` for forecasting."""
    if describe:
        _describe()
    elif context.invoked_subcommand is None:
        raise InputError(
            "nothing to do: say `anmodel snapshot train`, `anmodel snapshot daily` or `anmodel snapshot --describe`"
        )


@command.command()
def train(
    name: Annotated[str, typer.Option(help="Name of the snapshot; an older one of the name is replaced.")] = "model1",
    horizon_days: Annotated[int | None, typer.Option(help="Days ahead to forecast. [HORIZON_DAYS, 7]")] = None,
    max_rows: Annotated[
        int, typer.Option(min=100, help="Rows at most; past it instants, then users are sampled.")
    ] = 400_000,
    as_of: Annotated[
        str | None,
        typer.Option(help="As it would have been at this instant, ISO 8601 with zone, or a date. [the newest event]"),
    ] = None,
) -> None:
    """Features and targets at instants of the past, split by time with an embargo of the horizon. Safe to repeat."""
    from anmodel.lake.sweeping import sweep
    from anmodel.snapshot.training import build_training

    if not name.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"--name {name!r}: allowed are letters, digits, - and _")
    instant = _instant(as_of) if as_of else None
    settings = SnapshotSettings.load(horizon_days=horizon_days)
    configure_logging(settings)
    with _working(settings, "snapshot train") as (lake, engine, scratch, progress):
        sweep(lake, lake.found("snapshots"))
        made = build_training(
            lake,
            engine,
            scratch,
            name=name,
            horizon_days=settings.horizon_days,
            max_rows=max_rows,
            as_of=instant,
            progress=progress,
        )
    typer.echo(f"snapshot {name} (version {made['version']}, split by {made['split']}): {made['users']} users")
    for part, instants in made["instants"].items():
        typer.echo(
            f"  {part:5} {made['rows'][part]:>8} rows, {len(instants):>3} instants from {instants[0][:16]} to "
            f"{instants[-1][:16]}, {made['positive_rate'][part]:.1%} bought"
        )


@command.command()
def daily(
    as_of: Annotated[
        str | None,
        typer.Option(help="Instant of the features, ISO 8601 with zone, or a date. [just after the newest event]"),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="As of the newest daily snapshot's instant, unless that of --as-of is later."),
    ] = False,
    horizon_days: Annotated[int | None, typer.Option(help="Days ahead to forecast. [HORIZON_DAYS, 7]")] = None,
) -> None:
    """Every user's features as of an instant. Safe to repeat."""
    from anmodel.lake.sweeping import sweep
    from anmodel.snapshot.daily import build_daily, newest_instant
    from anmodel.snapshots.daily import DAILY, pointers

    instant = _instant(as_of) if as_of else None
    settings = SnapshotSettings.load(horizon_days=horizon_days)
    configure_logging(settings)
    with _working(settings, "snapshot daily") as (lake, engine, scratch, progress):
        sweep(lake, lake.found(DAILY), pointers(lake))
        if again:
            instant = max((each for each in (instant, newest_instant(lake)) if each), default=None)
        made = build_daily(lake, engine, scratch, as_of=instant, horizon_days=settings.horizon_days, progress=progress)
    typer.echo(f"daily snapshot as of {made['snapshot_time']} (version {made['version']}): {made['users']} users")


@contextmanager
def _working(
    settings: SnapshotSettings, task: str
) -> "Iterator[tuple[Lake, Engine, Path, Callable[[int, str], None]]]":
    """The lake, the engine, a scratch folder and a progress line."""
    from anmodel.lake import Lake
    from anmodel.lake.sweeping import sweep_temporary
    from anmodel.progress import ProgressLine
    from anmodel.snapshot.engine import Engine

    lake = Lake(settings.parquet_out)
    sweep_temporary(lake)
    with (
        lake.scratch() as scratch,
        ProgressLine(task, unit="rows") as line,
        Engine(scratch, threads=settings.snapshot_threads, memory_mb=settings.snapshot_memory_mb) as engine,
    ):
        yield lake, engine, scratch, line.show


def _instant(text: str) -> datetime:
    """An instant given on the command line; a date or a time without a zone is UTC."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--as-of {text!r}: allowed is ISO 8601, as 2026-01-31 or 2026-01-31T09:30:00Z") from error
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _describe() -> None:
    from anmodel.snapshots import FEATURES

    rows: list[Any] = [("name", "block", "unit", "meaning"), *((f.name, f.block, f.unit, f.meaning) for f in FEATURES)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + "  " + row[3])
