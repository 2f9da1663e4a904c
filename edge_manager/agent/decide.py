"""What the agent does next. Everything that affects that is an argument: no disk, no network, no clock.

A deployment under way is a job. Each change of its phase is on the disk before anything is done in the new phase, and
whatever is done can be done again, so a power cut at any instant costs at most the step that it cut.

    FETCH -> SWITCH -> CHECK -> (SUCCESS, or FAIL where the policy is DO_NOTHING)
      |                  `----> RESTORE -> FAIL
      `-> FAIL
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple, Union

from edge_manager.agent.values import Failure, Model, Offer, Result, clean

MISMATCHES = 2  # downloads with another checksum; the first may have been resumed from a damaged part


class Phase(str, Enum):
    """How far a job is."""

    FETCH = "FETCH"
    SWITCH = "SWITCH"
    CHECK = "CHECK"
    RESTORE = "RESTORE"


@dataclass(frozen=True)
class Job:
    """A deployment under way. `before` is the release to go back to, known from SWITCH on."""

    offer: Offer
    started: float
    phase: Phase = Phase.FETCH
    before: str | None = None
    failure: Failure | None = None
    mismatches: int = 0
    hindered: float = 0.0  # seconds waited for this device's own trouble to end


@dataclass(frozen=True)
class State:
    """What the agent must not forget.

    `over` names the deployment that it did last, `good` the last release that was checked with success.
    """

    job: Job | None = None
    over: str | None = None
    good: str | None = None
    results: tuple[Result, ...] = ()


class Fetch(NamedTuple):
    """Download and unpack a model."""

    model: Model


class Prepare(NamedTuple):
    """Take down what runs now, to be able to go back to it."""


class Switch(NamedTuple):
    """Point `current` to the offered models."""

    offer: Offer


class Check(NamedTuple):
    """Run the owner's command on them."""

    offer: Offer


class Restore(NamedTuple):
    """Point `current` to what it pointed to before; None: nothing ran."""

    release: str | None


class Fail(NamedTuple):
    """Give up what was not begun."""

    failure: Failure


Step = Union[Fetch, Prepare, Switch, Check, Restore, Fail]


def next_step(job: Job, present: frozenset[str]) -> Step:
    """The next step of a job, given the checksums of the models that are on the disk, whole."""
    if job.phase is Phase.SWITCH:
        return Switch(job.offer)
    if job.phase is Phase.CHECK:
        return Check(job.offer)
    if job.phase is Phase.RESTORE:
        return Restore(job.before)
    if job.offer.fault is not None:
        return Fail(Failure(job.offer.fault))
    missing = [model for model in job.offer.models if model.sha1 not in present]
    return Fetch(missing[0]) if missing else Prepare()


def offered(state: State, offer: Offer | None, now: float) -> State:
    """The service says what is to run. What was begun before the switch gives way, later phases are carried through."""
    if state.job is not None and state.job.phase is not Phase.FETCH:
        return state
    if offer is None or offer.deployment == state.over:
        return replace(state, job=None)
    if state.job is not None and state.job.offer == offer:
        return state
    return replace(state, job=Job(offer, now))


def prepared(state: State, releases: frozenset[str], current: str | None) -> State:
    """All models are there: from here on `current` may change.

    A rollback goes to what was good, which is what runs unless a policy of DO_NOTHING left something else in place.
    """
    before = state.good if state.good in releases else current
    return replace(state, job=replace(_job(state), phase=Phase.SWITCH, before=before))


def switched(state: State) -> State:
    """`current` points to the new models."""
    return replace(state, job=replace(_job(state), phase=Phase.CHECK))


def checked(state: State, release: str, failure: Failure | None, now: float) -> State:
    """The owner's command said yes, or no: then the policy decides, and whether there is anything to go back to."""
    job = _job(state)
    if failure is None:
        return replace(_over(state, None, now), good=release)
    if not job.offer.rolls_back:
        return _over(state, Failure(f"{failure.reason} Left in place, as the policy says.", failure.handle), now)
    if job.before == release:  # done over, say after the state file was lost
        return _over(state, Failure(f"{failure.reason} Left in place: it ran before.", failure.handle), now)
    return replace(state, job=replace(job, phase=Phase.RESTORE, failure=failure))


def restored(state: State, now: float, trouble: str | None = None) -> State:
    """`current` is what it was; `trouble` is what the owner's command said to that, if it did not like it."""
    job = _job(state)
    reason = job.failure.reason if job.failure else "Rolled back."
    ending = "Rolled back." if job.before is not None else "Nothing ran before, so nothing runs now."
    failure = Failure(f"{reason} {ending}", job.failure.handle if job.failure else None)
    return _over(state, failure, now, is_running=False, rollback_failure=trouble)


def mismatched(state: State, model: Model, found: str, now: float) -> State:
    """A package has another checksum than it should have: once it is fetched again, then it is wrong."""
    job = replace(_job(state), mismatches=_job(state).mismatches + 1)
    if job.mismatches < MISMATCHES:
        return replace(state, job=job)
    return failed(state, Failure(f"{model.url} has the SHA-1 {found}, not {model.sha1}.", model.handle), now)


def hindered(state: State, reason: str, waited: float, patience: float, now: float) -> State:
    """The device's own trouble may end, but nobody waits for it for ever; after the switch there is no giving up."""
    job = _job(state)
    if job.phase is not Phase.FETCH:
        return state
    if job.hindered >= patience:
        return failed(state, Failure(reason), now)
    return replace(state, job=replace(job, hindered=job.hindered + waited))


def failed(state: State, failure: Failure, now: float) -> State:
    """The deployment failed before anything was switched."""
    return _over(state, failure, now, is_running=False)


def reported(state: State, result: Result) -> State:
    """The service has it."""
    return replace(state, results=tuple(each for each in state.results if each != result))


def _over(
    state: State, failure: Failure | None, now: float, *, is_running: bool = True, rollback_failure: str | None = None
) -> State:
    job = _job(state)
    kept = Failure(clean(failure.reason), failure.handle) if failure is not None else None
    trouble = clean(rollback_failure) if rollback_failure is not None else None
    result = Result(job.offer, job.started, now, kept, is_running, trouble)
    return replace(state, job=None, over=job.offer.deployment, results=(*state.results, result))


def _job(state: State) -> Job:
    if state.job is None:
        raise ValueError("No deployment is under way.")
    return state.job
