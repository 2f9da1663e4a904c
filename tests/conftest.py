"""Fixtures for all tests. Hypothesis profiles: `ci` by default, `soak` for `make soak`."""

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ("tests.fixtures_cluster",)

settings.register_profile("ci", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("ci"), max_examples=1000, stateful_step_count=50)
settings.load_profile("ci")

pytest.register_assert_rewrite("tests.integration.operators")
