"""`anmodel up | status | logs | doctor`."""

import json
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from anmodel.errors import InputError, NotReadyError
from anmodel.laptop import environment
from anmodel.settings import LaptopSettings
from anmodel.telemetry import configure_logging

FOLLOW_SECONDS = 0.3

Only = Annotated[str, typer.Option(help="Parts to run, separated by commas; all others stay off.", metavar="PARTS")]
Without = Annotated[str, typer.Option(help="Parts to leave off, separated by commas.", metavar="PARTS")]


def up(
    only: Only = "",
    without: Without = "",
    mlflow_ui: Annotated[bool, typer.Option("--mlflow-ui", help="Start MLflow's UI too (0.5 GB).")] = False,
) -> None:
    """Start the laptop's platform and every service; stays until Ctrl-C."""
    from anmodel.laptop.parts import laptop_parts
    from anmodel.laptop.report import PlainReport, Switching, starting
    from anmodel.laptop.supervisor import Platform, interrupted_by_signals

    environment.withdraw()
    settings = LaptopSettings.load()
    configure_logging(settings)
    variables = environment.ensure(settings)
    parts = laptop_parts(settings, variables, only=_names(only), without=_names(without), mlflow_ui=mlflow_ui)
    report = Switching(PlainReport())
    platform = Platform(_home(settings), parts, variables, report)
    with suppress(KeyboardInterrupt), interrupted_by_signals(), platform:
        with starting(report):
            platform.wait_ready()
        _welcome([(part.name, part.url) for part in platform.states() if part.url])
        platform.wait()


def status(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """What runs on the laptop, and how it does."""
    from rich.console import Console

    from anmodel.laptop.parts import laptop_parts
    from anmodel.laptop.status import platform_status, status_table

    settings = LaptopSettings.load()
    home = _home(settings)
    variables = environment.read(home)
    parts = laptop_parts(settings, variables, mlflow_ui=True) if variables else []
    found = platform_status(home, parts, time.time())
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(status_table(found))


def logs(
    part: Annotated[str, typer.Argument(help="Whose log: kafka, clickhouse, collector and so on.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Newest lines to show first.")] = 50,
) -> None:
    """Show a part's log."""
    from anmodel.laptop.logfile import follow as follow_log
    from anmodel.laptop.logfile import log_path, tail

    path = log_path(_home(LaptopSettings.load()), part)
    if not path.is_file():
        there = (
            ", ".join(sorted(file.stem for file in path.parent.glob("*.log"))) or "none yet; start with `anmodel up`"
        )
        raise InputError(f"there is no log of {part!r}; the logs are: {there}.")
    for line in tail(path, lines):
        typer.echo(line)
    pause = threading.Event()
    with suppress(KeyboardInterrupt):
        for line in follow_log(path, lambda: pause.wait(FOLLOW_SECONDS)) if follow else ():
            typer.echo(line)


def doctor() -> None:
    """What is missing on this machine, and what to do."""
    from rich.console import Console
    from rich.table import Table

    from anmodel.laptop.doctor import examine
    from anmodel.laptop.parts import laptop_parts
    from anmodel.laptop.status import platform_status

    settings = LaptopSettings.load()
    home = _home(settings)
    running = platform_status(home, [], time.time()).pid is not None
    findings = examine(settings, laptop_parts(settings, _examples()), running)
    table = Table("", "", "FOUND", "WHAT TO DO", box=None)
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[yellow]note[/]" if finding.optional else "[red]lacks[/]"
        table.add_row(mark, finding.what, finding.found, "" if finding.ok else finding.remedy)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    lacking = [finding.what for finding in findings if not finding.ok and not finding.optional]
    if lacking:
        raise NotReadyError(f"this machine lacks: {', '.join(lacking)}. What to do stands above.")


def _examples() -> dict[str, str]:
    """Parts are only asked for their ports here: nothing is written, no secret is made."""
    return {"CLICKHOUSE_USER": "", "MLFLOW_TRACKING_URI": "", "MLFLOW_ARTIFACTS": ""}


def _home(settings: LaptopSettings) -> Path:
    return settings.anmodel_home.expanduser().absolute()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _welcome(addresses: list[tuple[str, str]]) -> None:
    width = max((len(name) for name, _ in addresses), default=0)
    lines = "\n".join(f"  {name:{width}}  {url}" for name, url in addresses)
    typer.echo(
        f"Everything is up. Ctrl-C ends it.\n{lines}\n  logs: anmodel logs PART · state: anmodel status", err=True
    )
