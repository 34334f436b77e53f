"""`anmodel predictor`: serve the champion."""

from typing import TYPE_CHECKING

from anmodel.rotation import end_when_rotated
from anmodel.settings import PredictorSettings, RegistrySettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.registry import Registry


def command() -> None:
    """Serve the registry's champion by KServe's protocols v1 and v2 until SIGTERM or Ctrl-C."""
    settings = PredictorSettings.load()
    configure_logging(settings)
    end_when_rotated(settings)
    serve(settings)


def serve(settings: PredictorSettings) -> None:
    """Serve until told to end; requests under way are answered first, for at most five seconds."""
    import warnings

    import uvicorn

    from anmodel.predictor.champion import ChampionWatch
    from anmodel.predictor.serving import create_app

    # KServe answers with a class that FastAPI has since called old; nothing that an operator could act on.
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    watch = ChampionWatch(lambda: open_registry(settings), settings.champion_poll_seconds)
    uvicorn.run(
        create_app(settings.model_name, watch),
        host=settings.predictor_host,
        port=settings.predictor_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def open_registry(settings: PredictorSettings) -> "Registry":
    """The registry; importing it brings MLflow, which takes seconds."""
    from anmodel.registry import Registry

    return Registry(RegistrySettings.load(mlflow_tracking_uri=settings.mlflow_tracking_uri))
