"""`anmodel migrate`."""

import typer

from anmodel.settings import MigrateSettings
from anmodel.telemetry import configure_logging


def command() -> None:
    """Create or bring ClickHouse's tables to the newest version. Safe to repeat; data stays."""
    from anmodel.layouts import layout_of
    from anmodel.warehouse import Warehouse

    settings = MigrateSettings.load()
    configure_logging(settings)
    layout = layout_of(settings.clickhouse_db, settings.clickhouse_cluster)
    version = Warehouse.connect(settings).migrate(layout, events_ttl_days=settings.events_ttl_days)
    typer.echo(f"{settings.clickhouse_db} is at schema version {version}")
