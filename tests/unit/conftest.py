"""Unit tests need neither network nor Java."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

# a busy machine is no fault of the code under test
settings.register_profile("anmodel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anmodel")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A command that a test ran has sent the logs to that test's stderr, which is closed by now."""
    yield
    structlog.reset_defaults()
