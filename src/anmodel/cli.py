"""`anmodel <stage>`: only wiring. A stage's module is imported when its command runs."""

import importlib
import sys
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from anmodel import __version__
from anmodel.errors import AnModelError

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("anmodel.laptop.command:up", "Start the laptop's platform and every service; stays until Ctrl-C."),
    "status": ("anmodel.laptop.command:status", "What runs on the laptop, and how it does."),
    "logs": ("anmodel.laptop.command:logs", "Show a part's log."),
    "doctor": ("anmodel.laptop.command:doctor", "What is missing on this machine, and what to do."),
    "demo": ("anmodel.laptop.demo:command", "The whole road: shoppers, events, forecasts, console."),
    "forecast": ("anmodel.laptop.forecast:command", "export, snapshot, train, register and score in order."),
    "migrate": ("anmodel.migrate.command:command", "Bring ClickHouse's tables to the newest version."),
    "collector": ("anmodel.collector.command:command", "Take events over HTTP and put them on Kafka."),
    "consumer": ("anmodel.consumer.command:command", "Move events from Kafka to ClickHouse."),
    "users": ("anmodel.generator.users_command:command", "The shop's users: seed, import, list, export."),
    "generator": ("anmodel.generator.command:command", "Make shoppers browse and buy."),
    "replay": ("anmodel.replay.command:command", "Feed a file of events through the collector."),
    "export": ("anmodel.export.command:command", "Write changed days of events to the lake."),
    "trends": ("anmodel.trends.command:command", "Fetch search trends (needs SERPAPI_KEY)."),
    "snapshot": ("anmodel.snapshot.command:command", "Build features: train or daily."),
    "train": ("anmodel.train.command:command", "Fit the model on a training snapshot."),
    "register": ("anmodel.register.command:command", "Make the newest model champion if it is better."),
    "score": ("anmodel.score.command:command", "Forecast every user of the daily snapshot."),
    "monitor": ("anmodel.monitor.command:command", "Watch drift, and forecasts against what happened."),
    "predictor": ("anmodel.predictor.command:command", "Serve the champion by KServe's model server."),
    "gateway": ("anmodel.gateway.command:command", "The API of users, services and forecasts."),
    "marketapp": ("anmodel.marketapp.command:command", "Serve the built console."),
}
"""Command → (where it is, its line in the help)."""


class _Lazy(TyperGroup):
    """Lists every command at once and imports only the one that is called."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return _typer_command(getattr(importlib.import_module(module), attribute), cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Names and lines from the table: help must not import every stage."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _typer_command(target: Any, name: str) -> Any:
    """Typer's command for a function or a typer app."""
    if isinstance(target, typer.Typer):
        made: Any = typer.main.get_group(target)
    else:
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(name)(target)
        made = typer.main.get_command(single)
    made.name = name
    return made


app = typer.Typer(
    cls=_Lazy,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"anmodel {__version__}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def cli(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """AnModel: who will buy next, when, for how much and why."""


def main() -> None:
    """Run a command; an error AnModel knows ends in one message and its own exit code."""
    from anmodel.laptop import environment

    try:
        environment.apply()
        app()
    except AnModelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
