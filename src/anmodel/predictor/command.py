"""`anmodel predictor`: serve the champion, or the one model of a folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from anmodel.rotation import end_when_rotated
from anmodel.settings import PredictorSettings, RegistrySettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.predictor.source import Source
    from anmodel.registry import Registry


def command() -> None:
    """Serve the registry's champion, or the model in MODEL_DIR, by KServe's protocols until SIGTERM or Ctrl-C."""
    settings = PredictorSettings.load()
    configure_logging(settings)
    end_when_rotated(settings)
    serve(settings)


def serve(settings: PredictorSettings) -> None:
    """Serve until told to end; requests under way are answered first, for at most five seconds."""
    import warnings

    import uvicorn

    from anmodel.predictor.serving import create_app

    # KServe answers with a class that FastAPI has since called old; nothing that an operator could act on.
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    uvicorn.run(
        create_app(
            settings.model_name,
            source_of(settings),
            host=settings.predictor_host,
            grpc_port=settings.predictor_grpc_port,
        ),
        host=settings.predictor_host,
        port=settings.predictor_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def source_of(settings: PredictorSettings) -> "Source":
    """Where the model comes from: MODEL_DIR when it is set, and then nothing of the registry is asked or imported."""
    if settings.model_dir:
        from anmodel.predictor.folder import FolderModel

        return FolderModel(settings.model_name, Path(settings.model_dir), settings.model_version)
    from anmodel.predictor.champion import ChampionWatch

    return ChampionWatch(lambda: open_registry(settings), settings.champion_poll_seconds)


def open_registry(settings: PredictorSettings) -> "Registry":
    """The registry; importing it brings MLflow, which takes seconds."""
    from anmodel.registry import Registry

    return Registry(RegistrySettings.load(mlflow_tracking_uri=settings.mlflow_tracking_uri))
