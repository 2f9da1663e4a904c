"""Fixtures for all tests. Hypothesis profiles: `ci` by default and the same every time, `soak` for `make soak`."""

import signal

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ("tests.fixtures_cluster",)

settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
# About 37 steps a life: more than 100,000 steps.
settings.register_profile("soak", settings.get_profile("ci"), derandomize=False, max_examples=3000)
settings.load_profile("ci")

pytest.register_assert_rewrite("tests.integration.operators")

# A run in the background has SIGINT ignored, and all that it starts would inherit that; some tests press Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
