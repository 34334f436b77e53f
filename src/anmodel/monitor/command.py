"""`anmodel monitor`."""

from typing import TYPE_CHECKING, Annotated

import typer

from anmodel.findings import WORST
from anmodel.settings import MonitorSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.monitor.monitoring import Report


def command(
    runs: Annotated[int, typer.Option(min=0, help="Newest finished score runs to compare with what happened.")] = 7,
    every: Annotated[bool, typer.Option("--all", help="Print the findings that are ok, too.")] = False,
) -> None:
    """Compare today's features and chances with training, and past forecasts with what happened. Safe to repeat.

    Findings go to ClickHouse's monitor_reports as ok, warn or alarm. An alarm does not make the command fail; it is
    told on the topic of model events, once a version and day: as drift, which starts a training where Airflow listens,
    forecasts_shifted or forecasts_worse. A run that cannot tell it fails and keeps nothing, so that the next one does.
    """
    settings = MonitorSettings.load()
    configure_logging(settings)

    from anmodel.lake import Lake
    from anmodel.monitor.monitoring import monitor
    from anmodel.registry import Registry
    from anmodel.topic import announce
    from anmodel.warehouse import Warehouse

    reports = monitor(
        Lake(settings.parquet_out),
        Registry(settings),
        Warehouse.connect(settings),
        runs=runs,
        tell=lambda message: announce(settings, settings.model_topic, message),
    )
    if not reports:
        typer.echo(
            "Nothing to measure yet: no champion with a daily snapshot, and no forecast whose horizon has passed."
        )
    for report in reports:
        typer.echo(table(report, every=every))


def table(report: "Report", *, every: bool) -> str:
    """The findings as lines, the worst first; without `every`, those of single features only if not ok."""
    counts = {level: sum(item.level == level for item in report.findings) for level in WORST}
    lines = [
        f"{report.model_name} version {report.model_version} as of {report.snapshot_time:%Y-%m-%d %H:%M}: "
        + ", ".join(f"{count} {level}" for level, count in counts.items())
    ]
    shown = [item for item in report.findings if every or item.level != "ok" or not item.feature]
    shown.sort(key=lambda item: (WORST[item.level], item.metric, -item.value))
    lines += [f"  {item.level:5}  {item.metric:26}  {item.feature:26}  {item.value:12.4f}" for item in shown]
    return "\n".join(lines)
