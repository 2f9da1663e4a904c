"""The state file: what `decide` must not forget, as JSON."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Callable

from edge_manager.agent.decide import Job, Phase, State
from edge_manager.agent.disk import DAMAGED, remove, write
from edge_manager.agent.errors import FolderError
from edge_manager.agent.values import Failure, Model, Offer, Result, is_name, is_sha1

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
LATEST = 253_000_000_000
LOG = logging.getLogger(__name__)


def save(path: Path, state: State) -> None:
    """Write the state; afterwards it is on the disk."""
    write(path, json.dumps({"format": FORMAT, **asdict(state)}).encode())


def load(path: Path) -> State:
    """The state; empty if there is none. One that cannot be read is put aside: the service says again what is to run."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}")
        results = tuple(_result(each) for each in found["results"])
        return State(_job(found["job"]), _text_or_none(found["over"]), _entry(found["good"]), results)
    except FileNotFoundError:
        return State()
    except DAMAGED as error:
        aside = path.with_suffix(".unreadable")
        LOG.warning("%s cannot be read (%s) and is put aside as %s", path, error, aside.name)
        _put_aside(path, aside)
        return State()


def _put_aside(path: Path, aside: Path) -> None:
    try:
        remove(aside)
        path.replace(aside)
    except OSError as error:
        raise FolderError(f"{path} can neither be read nor renamed: {error.strerror}") from None


def _job(found: dict[str, Any] | None) -> Job | None:
    if found is None:
        return None
    return Job(
        **{
            **found,
            "offer": _offer(found["offer"]),
            "started": _number(found["started"]),
            "phase": Phase(found["phase"]),
            "before": _entry(found["before"]),
            "failure": _failure(found["failure"]),
            "mismatches": int(_number(found["mismatches"])),
            "hindered": _number(found["hindered"]),
        }
    )


def _result(found: dict[str, Any]) -> Result:
    return Result(
        **{
            **found,
            "offer": _offer(found["offer"]),
            "started": _number(found["started"]),
            "ended": _number(found["ended"]),
            "failure": _failure(found["failure"]),
            "is_running": _flag(found["is_running"]),
            "rollback_failure": _text_or_none(found["rollback_failure"]),
        }
    )


def _offer(found: dict[str, Any]) -> Offer:
    return Offer(
        **{
            **found,
            "deployment": _sound(found["deployment"], is_name),
            "models": tuple(_model(*each) for each in found["models"]),
            "removed": tuple(_text(each) for each in found["removed"]),
            "rolls_back": _flag(found["rolls_back"]),
            "fault": _text_or_none(found["fault"]),
        }
    )


def _model(handle: object, url: object, sha1: object) -> Model:
    return Model(_sound(handle, is_name), _text(url), _sound(sha1, is_sha1))


def _failure(found: list[Any] | None) -> Failure | None:
    if found is None:
        return None
    reason, handle = found
    return Failure(_text(reason), _text_or_none(handle))


def _text(found: object) -> str:
    return _sound(found, lambda _: True)


def _text_or_none(found: object) -> str | None:
    return None if found is None else _text(found)


def _entry(found: object) -> str | None:
    """The name of something in a folder, not a path that leads out of it."""
    return None if found is None else _sound(found, lambda name: name not in {"", ".", ".."} and not {*name} & {*"/\0"})


def _sound(found: object, holds: Callable[[str], bool]) -> str:
    if not isinstance(found, str) or not holds(found):
        raise ValueError(f"{found!r:.60} where a text is expected")
    return found


def _number(found: object) -> float:
    """A time or a count; nothing after the year 9999, which no calendar here can tell."""
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found < LATEST:
        raise ValueError(f"{found!r:.60} where a number is expected")
    return found


def _flag(found: object) -> bool:
    if not isinstance(found, bool):
        raise TypeError(f"{found!r:.60} where true or false is expected")
    return found
