"""One device's part of a stage: what it is offered, and what its answer changes.

A device has at most one deployment that counts, that of the latest start: it hides all earlier ones. The name that a
device is given tells the starts apart, so an answer to an earlier attempt is no answer to this one.

    READY -> FETCHED -> SUCCESS | FAIL        an answer may come without the fetch having been seen
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from edge_manager.domain.texts import LONGEST_REASON, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_NAME = 63
NAME = re.compile(r".*-(\d{1,18})")
Model = dict[str, Any]  # what the store keeps of a model of a plan: `models_of` writes it


class State(StrEnum):
    """How far a device got."""

    READY = "READY"
    FETCHED = "FETCHED"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"


ANSWERED = frozenset({State.SUCCESS, State.FAIL})


@dataclass(frozen=True)
class Deployment:
    """What is known of one device in one stage. `superseded_by` names the later start on that device, if any."""

    state: State
    message: str | None = None
    stopped: bool = False
    superseded_by: str | None = None

    @property
    def is_offered(self) -> bool:
        """Whether the device is told to run it: not after a failure, nor a stop unless it had fetched it."""
        if self.superseded_by is not None or self.state is State.FAIL:
            return False
        return not (self.stopped and self.state is State.READY)

    @property
    def status(self) -> str:
        """AWS's DeviceDeploymentStatus."""
        if self.state in ANSWERED:
            return "DEPLOYED" if self.state is State.SUCCESS else "FAILED"
        if self.superseded_by is not None or (self.stopped and self.state is State.READY):
            return "STOPPED"
        if self.state is State.FETCHED:
            return "STOPPING" if self.stopped else "INPROGRESS"
        return "READYTODEPLOY"

    @property
    def status_message(self) -> str | None:
        """AWS's DeviceDeploymentStatusMessage."""
        if self.superseded_by is not None and self.state not in ANSWERED:
            return f"Superseded by {self.superseded_by}, which was started later."
        return self.message


@dataclass(frozen=True)
class Answer:
    """The result in a heartbeat, as far as it counts."""

    sequence: int
    state: State
    message: str | None = None


def name_of(plan: str, stage: str, sequence: int) -> str:
    """The name of a deployment: readable, within AWS's pattern, and `sequence` tells the starts apart."""
    number = f"-{sequence}"
    return f"{plan}-{stage}"[: MAX_NAME - len(number)].rstrip("-") + number


def answer_of(result: Mapping[str, Any] | None) -> Answer | None:
    """What a heartbeat's DeploymentResult says; None if it says neither SUCCESS nor FAIL, or nothing of ours."""
    if result is None or (name := NAME.fullmatch(result.get("DeploymentName") or "")) is None:
        return None
    models = result.get("DeploymentModels") or []
    said: list[str | None] = [result.get("DeploymentStatus")]
    if said[0] not in ANSWERED:
        said = [model.get("Status") for model in models]
    if State.FAIL in said:
        return Answer(int(name[1]), State.FAIL, _reason(result, models))
    if said and all(each == State.SUCCESS for each in said):
        return Answer(int(name[1]), State.SUCCESS, _joined([result.get("DeploymentStatusMessage")]))
    return None


def _reason(result: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> str | None:
    reasons = [result.get("DeploymentStatusMessage")]
    for model in models:
        reasons += [model.get("StatusReason"), model.get("RollbackFailureReason")]
    return _joined(reasons)


def _joined(reasons: Sequence[str | None]) -> str | None:
    """What a device gave as reasons, each once; no device says more than everybody else has to read."""
    return shortened("; ".join(dict.fromkeys(reason for reason in reasons if reason)), LONGEST_REASON) or None


def definitions(models: Sequence[Model], running: Sequence[Model]) -> list[dict[str, Any]]:
    """What a device has to do: run the plan's models, and no longer run those that it runs of an earlier plan."""
    handles = {model["handle"] for model in models}
    gone = [model for model in running if model["handle"] not in handles]
    return [_definition(model, "DEPLOY") for model in models] + [_definition(model, "UNDEPLOY") for model in gone]


def _definition(model: Model, state: str) -> dict[str, Any]:
    checksum = {"Type": "SHA1", "Sum": model["sha1"]}
    return {"ModelHandle": model["handle"], "S3Url": model["url"], "Checksum": checksum, "State": state}
