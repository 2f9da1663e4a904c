"""The ways of using Kopf that are compared, each as the command that runs its operator."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Way:
    """One way: what it is called and how it is run for a namespace."""

    name: str
    title: str
    arguments: tuple[str, ...]
    """Arguments of `python`; {} is the namespace."""

    def command(self, namespace: str, *before: str) -> list[str]:
        return [sys.executable, *before, *(argument.replace("{}", namespace) for argument in self.arguments)]


def _competitor(module: str) -> tuple[str, ...]:
    return ("-m", "kopf", "run", "--standalone", "--namespace", "{}", "-m", f"tests.bench.wirings.{module}")


# No sweep falls into the comparison: the others have none. What sweeps cost is measured by itself.
OURS: Final = Way(
    "ours",
    "ours",
    ("-m", "controller.cli", "run", "--namespace", "{}", "--sweep-interval", "10m"),
)
WAYS: Final = (
    OURS,
    Way("default", "defaults", _competitor("change_handlers_default")),
    Way("tuned", "tuned", _competitor("change_handlers_tuned")),
)
