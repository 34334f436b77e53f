"""`anmodel train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anmodel.errors import NotReadyError
from anmodel.settings import TrainSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.registry import Registry


def command(
    name: Annotated[str, typer.Option(help="Training snapshot to fit on.")] = "model1",
    tune: Annotated[
        float,
        typer.Option(
            min=0, help="Minutes to seek better parameters for; what was found stays with the snapshot's name."
        ),
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Train even if these rows gave a version already.")] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", help="Train nothing: write the newest version's evaluation, an HTML page, here."
        ),
    ] = None,
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

    registry = Registry(settings)
    if page is not None:
        typer.echo(_write_page(registry, page))
        return
    version, new = train(
        Lake(settings.parquet_out),
        registry,
        name=name,
        seed=settings.train_seed,
        threads=settings.train_threads,
        force=force,
        tune_minutes=tune,
    )
    typer.echo(report(version, new=new))


def _write_page(registry: "Registry", to: Path) -> str:
    from anmodel.train.page import PAGE

    newest = registry.newest()
    if newest is None:
        raise NotReadyError(f"Model {registry.name} has no version yet. Run `anmodel train` first.")
    to.write_text(registry.file(newest, PAGE))
    return f"{to} tells of {newest.name} version {newest.version}"
