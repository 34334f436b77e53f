"""`anmodel demo`: the whole road on this machine, from shoppers to forecasts in the console."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from anmodel.errors import NotReadyError
from anmodel.laptop import environment
from anmodel.progress import ProgressLine
from anmodel.settings import LaptopSettings
from anmodel.telemetry import configure_logging

COMPLETE_JOURNEY = "completejourney"
DEFAULT_EVENTS = 20_000
DEFAULT_USERS = 500
_STALLED_SECONDS = 60.0
INTERRUPTED = 130  # the exit code that shells give to what Ctrl-C ended


class Times:
    """Seconds of each part of the demo, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Time what happens inside, and announce it."""
        typer.echo(f"── {name}")
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun


def command(
    data: Annotated[
        str,
        typer.Option(
            help=f"What to feed: nothing for generated shoppers, `{COMPLETE_JOURNEY}` for real baskets, or a file"
            " (NDJSON, CSV or Parquet in the event format).",
            metavar="DATA",
        ),
    ] = "",
    detach: Annotated[
        bool, typer.Option("--detach", help="Run to the first forecast, check the road, sum up and end.")
    ] = False,
    events: Annotated[int, typer.Option(min=1, help="Events to generate, about.")] = DEFAULT_EVENTS,
    users: Annotated[int, typer.Option(min=1, help="Shoppers to generate.")] = DEFAULT_USERS,
) -> None:
    """Start everything, make shoppers browse and buy, forecast, and show it; stays until Ctrl-C."""
    from anmodel.laptop.parts import laptop_parts
    from anmodel.laptop.report import PlainReport, Switching, starting
    from anmodel.laptop.supervisor import Platform, interrupted_by_signals

    environment.withdraw()
    settings = LaptopSettings.load()
    configure_logging(settings)
    variables = environment.ensure(settings)
    home = settings.anmodel_home.expanduser().absolute()
    environment.apply(home)
    report, times = Switching(PlainReport()), Times()
    platform = Platform(home, laptop_parts(settings, variables), variables, report)
    shown = False
    try:
        with interrupted_by_signals(), platform:
            with times.of("platform"), starting(report):
                platform.wait_ready()
            _walk_road(times, home, variables, lambda: _feed(data, events, users, _anchor(home)))
            shown = True
            if not detach:
                address = f"{variables['VITE_API_BASE'].rpartition(':')[0]}:{settings.marketapp_port}"
                typer.echo(f"\nOpen {address} — Ctrl-C ends.")
                platform.wait()
    except KeyboardInterrupt:
        if not shown:
            typer.echo("interrupted before the forecast was made; run it again, what is done stays", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _walk_road(times: Times, home: Path, variables: Mapping[str, str], feed: Callable[[], None]) -> None:
    """Feed, store, forecast, check and sum up. Raises `NotReadyError` when a link is broken."""
    from anmodel.laptop.checks import check_road, counts
    from anmodel.laptop.forecast import run_steps

    before = counts()
    with times.of("events"):
        feed()
        _wait_until_stored()
    with times.of("forecast"):
        steps = run_steps()
    with times.of("checks"):
        road = check_road(before, variables)
    typer.echo(road.summary(times.seconds, steps, home))
    if road.faults:
        raise NotReadyError("the road is broken: " + "; ".join(road.faults))


def _anchor(home: Path) -> str:
    """When the demo's events end: the first run's time, so that another run sends the same events and adds nothing."""
    path = home / "demo-until"
    if not path.exists() or not path.read_text():  # a kill or a full disk leaves it empty
        path.write_text(datetime.now(UTC).replace(microsecond=0).isoformat())
    return path.read_text()


def _feed(data: str, events: int, users: int, until: str) -> None:
    """Send the events through the collector, by the same commands a user would type."""
    if data == COMPLETE_JOURNEY:
        words = ["replay", data, "--shift-to", until]
    elif data:
        words = ["replay", data]
    else:
        volume = ["--users", str(users), "--total-events", str(events), "--batch", "200"]
        words = ["generator", *volume, "--snapshot-date", until]
    typer.echo(f"   anmodel {' '.join(words)}")
    done = subprocess.run([sys.executable, "-m", "anmodel", *words], check=False)
    if done.returncode == 1:
        typer.echo("   some events were refused, for the reasons above; going on with the others")
    elif done.returncode:
        raise NotReadyError(f"anmodel {' '.join(words)} ended with exit code {done.returncode}; what it said is above.")


def _wait_until_stored() -> None:
    """Wait until the consumer has committed all that the topic holds; gives up when nothing moves for a minute."""
    from anmodel.laptop.checks import consumer_lag

    total = left = consumer_lag()
    moved = time.monotonic()
    with ProgressLine("storing", total) as progress:
        while left:
            if time.monotonic() - moved > _STALLED_SECONDS:
                raise NotReadyError(
                    f"{left} messages wait and none was stored for a minute; see `anmodel logs consumer`"
                )
            time.sleep(0.2)
            now = consumer_lag()
            if now != left:
                left, moved = now, time.monotonic()
            progress.show(total - left)
