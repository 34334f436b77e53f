"""Unit tests need neither network nor Java."""

from hypothesis import HealthCheck, settings

# a busy machine is no fault of the code under test
settings.register_profile("anmodel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anmodel")
