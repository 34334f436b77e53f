"""`anmodel migrate`."""

import typer

from anmodel.settings import MigrateSettings
from anmodel.telemetry import configure_logging


def command() -> None:
    """Create or bring ClickHouse's tables to the newest version. Safe to repeat; data stays."""
    from anmodel.warehouse import Warehouse

    settings = MigrateSettings.load()
    configure_logging(settings)
    version = Warehouse.connect(settings).migrate(events_ttl_days=settings.events_ttl_days)
    typer.echo(f"{settings.clickhouse_db} is at schema version {version}")
