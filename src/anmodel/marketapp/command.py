"""`anmodel marketapp`: serve the built console."""

from anmodel.rotation import end_when_rotated
from anmodel.settings import MarketAppSettings
from anmodel.telemetry import configure_logging


def command() -> None:
    """Serve the built console on MARKETAPP_PORT until stopped."""
    import uvicorn

    from anmodel.marketapp.server import console_app

    settings = MarketAppSettings.load()
    configure_logging(settings)
    end_when_rotated(settings)
    app = console_app(settings.marketapp_dist, settings.vite_api_base)
    uvicorn.run(
        app,
        host=settings.marketapp_host,
        port=settings.marketapp_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
