"""What was logged, as a person reads it."""

import pytest


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and message of each record of the operator's own."""
    return [
        (record.levelname, record.getMessage()) for record in caplog.records if record.name.startswith("controller.")
    ]
