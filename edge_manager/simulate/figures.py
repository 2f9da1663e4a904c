"""What is counted while the agents play: calls, how long they took, errors, deployments."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Any

SHOWN = "SendHeartbeat"


class Figures:
    """Of a whole run, and of the time since the last line."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin now: what was before is not to be measured."""
        self.begun = time.monotonic()
        self.took: defaultdict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self._since, self._calls, self._shown = self.begun, 0, 0

    def count(self, operation: str, seconds: float, error: str | None) -> None:
        """Note a call."""
        self._calls += 1
        self.took[operation].append(seconds)
        if error is not None:
            self.errors[error] += 1

    def line(self, devices: int) -> str:
        """What happened since the last line."""
        now = time.monotonic()
        lately = self.took[SHOWN][self._shown :]
        rate = self._calls / max(now - self._since, 1e-9)
        self._shown, self._calls, self._since = len(self.took[SHOWN]), 0, now
        middle, slow = (f"{quantile(lately, share) * 1000:.1f}" for share in (0.5, 0.99))
        answers = ", ".join(f"{count} {status}" for status, count in sorted(self.answers.items())) or "none"
        errors = ", ".join(f"{count} {code}" for code, count in sorted(self.errors.items())) or "none"
        return (
            f"{devices} devices: {rate:.1f} calls/s, heartbeat p50 {middle} ms p99 {slow} ms; "
            f"deployments: {answers}; errors: {errors}"
        )

    def result(self) -> dict[str, Any]:
        """The whole run."""
        seconds = time.monotonic() - self.begun
        return {
            "seconds": round(seconds, 2),
            "operations": {
                operation: {
                    "calls": len(took),
                    "per_second": round(len(took) / seconds, 1),
                    **{f"p{share}_ms": round(quantile(took, share / 100) * 1000, 2) for share in (50, 90, 99)},
                    "max_ms": round(max(took, default=0) * 1000, 2),
                }
                for operation, took in sorted(self.took.items())
            },
            "deployments": dict(sorted(self.answers.items())),
            "errors": dict(sorted(self.errors.items())),
        }


def quantile(values: list[float], share: float) -> float:
    """The value that this share of all does not exceed; 0 where there are none."""
    if not values:
        return 0.0
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
