"""`anmodel score`."""

import typer

from anmodel.settings import ScoreSettings
from anmodel.telemetry import configure_logging


def command() -> None:
    """Forecast every user of the newest daily snapshot with the champion. Safe to repeat.

    Writes to ClickHouse's forecasts; the run is seen once it is complete.
    """
    settings = ScoreSettings.load()
    configure_logging(settings)

    from anmodel.lake import Lake
    from anmodel.registry import Registry
    from anmodel.score.scoring import score
    from anmodel.snapshots.daily import DailySnapshot
    from anmodel.warehouse import Warehouse

    snapshot = DailySnapshot.newest(Lake(settings.parquet_out))
    warehouse = Warehouse.connect(settings)
    run = score(snapshot, Registry(settings), warehouse, reasons_users=settings.reasons_users)
    typer.echo(
        f"{run['users']:,} users forecast by {run['model_name']} version {run['model_version']} "
        f"as of {run['snapshot_time'].isoformat()}, {run['horizon_days']} days ahead"
    )
