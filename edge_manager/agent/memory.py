"""The state file: what `decide` must not forget, as JSON."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge_manager.agent.decide import Job, Phase, State
from edge_manager.agent.disk import write
from edge_manager.agent.values import Failure, Model, Offer, Result

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
LOG = logging.getLogger(__name__)


def save(path: Path, state: State) -> None:
    """Write the state; afterwards it is on the disk."""
    write(path, json.dumps({"format": FORMAT, **asdict(state)}).encode())


def load(path: Path) -> State:
    """The state; empty if there is none. One that cannot be read is put aside: the service says again what is to run."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}")  # noqa: TRY301
        results = tuple(_result(each) for each in found["results"])
        return State(_job(found["job"]), found["over"], found["good"], results)
    except FileNotFoundError:
        return State()
    except (ValueError, KeyError, TypeError) as error:
        aside = path.with_suffix(".unreadable")
        LOG.warning("%s cannot be read (%s) and is put aside as %s", path, error, aside.name)
        path.replace(aside)
        return State()


def _job(found: dict[str, Any] | None) -> Job | None:
    if found is None:
        return None
    values = {**found, "offer": _offer(found["offer"]), "phase": Phase(found["phase"])}
    return Job(**{**values, "failure": _failure(found["failure"])})


def _result(found: dict[str, Any]) -> Result:
    return Result(**{**found, "offer": _offer(found["offer"]), "failure": _failure(found["failure"])})


def _offer(found: dict[str, Any]) -> Offer:
    models = tuple(Model(*each) for each in found["models"])
    return Offer(**{**found, "models": models, "removed": tuple(found["removed"])})


def _failure(found: list[Any] | None) -> Failure | None:
    return None if found is None else Failure(*found)
