"""`anmodel train`."""

from typing import Annotated

import typer

from anmodel.settings import TrainSettings
from anmodel.telemetry import configure_logging


def command(
    name: Annotated[str, typer.Option(help="Training snapshot to fit on.")] = "model1",
    tune: Annotated[
        float,
        typer.Option(
            min=0, help="Minutes to seek better parameters for; what was found stays with the snapshot's name."
        ),
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Train even if these rows gave a version already.")] = False,
) -> None:
    """Fit the model on a training snapshot, compare it to simple baselines, and register it as a version.

    Safe to repeat: the same rows, parameters and code give the version they gave before. `register` puts it in use.
    """
    settings = TrainSettings.load()
    configure_logging(settings)

    from anmodel.lake import Lake
    from anmodel.registry import Registry
    from anmodel.train.report import report
    from anmodel.train.training import train

    version, new = train(
        Lake(settings.parquet_out),
        Registry(settings),
        name=name,
        seed=settings.train_seed,
        threads=settings.train_threads,
        force=force,
        tune_minutes=tune,
    )
    typer.echo(report(version, new=new))
