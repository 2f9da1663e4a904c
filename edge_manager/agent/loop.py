"""The loop: talk to the service when it is time, do the next step of the job, remember, wait."""

from __future__ import annotations

import contextlib
import logging
import random
import signal
import time
from typing import TYPE_CHECKING

from edge_manager.agent import check, memory
from edge_manager.agent.decide import (
    Check,
    Fail,
    Fetch,
    Prepare,
    Restore,
    State,
    Step,
    Switch,
    checked,
    failed,
    hindered,
    mismatched,
    next_step,
    offered,
    prepared,
    reported,
    restored,
    switched,
)
from edge_manager.agent.disk import NO_SPACE, Disk, release_of
from edge_manager.agent.errors import HinderedError, LaterError, RefusedError, S3KeyError, UnfitError
from edge_manager.agent.fetch import MismatchError, fetch
from edge_manager.agent.service import Service
from edge_manager.agent.values import Failure, Installed, Release

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_manager.agent.config import Config

JITTER = 0.2  # of each wait, so that devices that start together do not stay together
LOG = logging.getLogger(__name__)


class Stop(BaseException):
    """SIGTERM came: whatever is under way ends here, as at a power cut, and is done over at the next start."""


class Backoff:
    """Waits that double from one failure to the next, at random, so that a server that is back is not run over."""

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest, self._failures = min(first, longest), longest, 0

    def next(self) -> float:
        """The next wait."""
        self._failures += 1
        ceiling = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311  no secret

    def reset(self) -> None:
        """All is well."""
        self._failures = 0


class Agent:
    """One device. Nothing is done before `run`, so that it can be made before a fork."""

    def __init__(self, config: Config, service: Service | None = None) -> None:
        self._config = config
        self._service = service or Service(config)
        self._disk = Disk(config.folder, config.keep_free)
        self._memory = config.folder / "state.json"
        self._state = State()
        self._registered = self._stopping = False
        self._talking = Backoff(min(config.poll, 5.0), max(config.longest_wait, config.poll))
        self._working = Backoff(min(config.poll, 5.0), config.longest_wait)
        self._talk_at = self._beat_at = self._work_at = 0.0
        self._said: dict[str, str] = {}

    def run(self) -> None:
        """Work until SIGTERM or SIGINT."""
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._stop)
            with self.ready():
                self._talk_at = time.monotonic() + random.uniform(0, JITTER * self._config.poll)  # noqa: S311
                while not self._stopping:
                    self.turn()
                    wait = min(self._talk_at, self._work_at if self._state.job else self._talk_at) - time.monotonic()
                    time.sleep(max(0.0, wait))
        except Stop:
            LOG.info("Stopped")

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Have the state folder, and go on where the last process ended."""
        with self._disk.locked():
            self._state = memory.load(self._memory)
            self._tidy()
            yield

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True  # an exception is lost where Python runs a destructor
        raise Stop

    def turn(self) -> None:
        """Talk and work, as far as it is time."""
        if time.monotonic() >= self._talk_at:
            self._talk()
        if self._state.job is not None and time.monotonic() >= self._work_at:
            self._work()

    def _talk(self) -> None:
        try:
            self._converse()
        except LaterError as trouble:
            wait = self._talking.next()
            if isinstance(trouble, RefusedError):
                self._service.forget()
                self._registered = False
            self._say("service", f"{trouble} Next try in {wait:.0f} seconds.", key=str(trouble))
        except OSError as trouble:
            wait = self._talking.next()
            self._say("disk", f"The state cannot be written: {trouble}")
        else:
            self._talking.reset()
            self._well("service", "The service answers again")
            wait = self._config.poll * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        self._talk_at = time.monotonic() + wait

    def _converse(self) -> None:
        if not self._registered:
            if not self._service.is_registered():
                raise RefusedError(f"{self._config.fleet}/{self._config.device} is not registered with the service.")
            self._registered = True
        refusal = None
        for result in self._state.results:
            try:
                self._service.beat(self._running(), result)
            except LaterError as error:
                refusal = error  # no reason not to hear what is to run now, or not to tell of the others
                continue
            LOG.info("Reported: %s %s", result.offer.deployment, result.status)
            self._keep(reported(self._state, result))
            self._beat_at = time.monotonic() + self._config.heartbeat
        if time.monotonic() >= self._beat_at:
            self._service.beat(self._running())
            self._beat_at = time.monotonic() + self._config.heartbeat
        before = self._state.job
        state = offered(self._state, self._service.offer(), time.time())
        if state != self._state:
            self._keep(state)
            self._tidy()
        if state.job is not None and state.job != before:
            LOG.info("Deployment %s: %s", state.job.offer.deployment, _named(state.job.offer.models))
            self._working.reset()
            self._work_at = 0.0
        if refusal is not None:
            raise refusal

    def _work(self) -> None:
        """One step of the job, and what comes of it."""
        job = self._state.job
        if job is None:
            return
        try:
            state = self._do(next_step(job, self._disk.present()))
            self._keep(state)
        except LaterError as trouble:
            self._wait("work", str(trouble))
        except HinderedError as trouble:
            if isinstance(trouble, S3KeyError):
                self._service.forget()
            self._hindered(str(trouble))
        except OSError as trouble:
            reason = "No space on the device" if trouble.errno in NO_SPACE else "The state folder cannot be used"
            self._hindered(f"{reason}: {trouble.strerror or trouble}.")
        else:
            self._working.reset()
            self._well("work", "Working again")
            if state.job is None:
                self._ended()

    def _do(self, step: Step) -> State:
        state, now = self._state, time.time()
        if isinstance(step, Fetch):
            try:
                fetch(self._service.s3, self._disk, step.model, lambda: time.monotonic() >= self._talk_at)
            except MismatchError as error:
                return mismatched(state, step.model, error.found, now)
            except UnfitError as error:
                return failed(state, Failure(str(error), error.handle), now)
        elif isinstance(step, Prepare):
            release = self._disk.release()
            return prepared(state, self._disk.kept(), release.id if release is not None else None)
        elif isinstance(step, Switch):
            release = self._disk.build(step.offer)
            self._disk.switch(release.id)
            LOG.info("Switched to %s", release.id)
            return switched(state)
        elif isinstance(step, Check):
            release = release_of(step.offer)
            return checked(state, release.id, self._check(release, "deploy"), now)
        elif isinstance(step, Restore):
            self._disk.switch(step.release)
            LOG.warning("Rolled back to %s", step.release or "nothing")
            running = self._disk.release()
            trouble = self._check(running, "rollback") if running is not None else None
            return restored(state, now, trouble.reason if trouble is not None else None)
        elif isinstance(step, Fail):
            return failed(state, step.failure, now)
        return state

    def _check(self, release: Release, event: str) -> Failure | None:
        for model in release.models if self._config.check else ():
            variables = {
                "EDGE_EVENT": event,
                "EDGE_DEPLOYMENT": release.deployment,
                "EDGE_MODEL_HANDLE": model.handle,
                "EDGE_MODEL_NAME": model.name,
                "EDGE_MODEL_VERSION": model.version,
                "EDGE_MODEL_PATH": str(self._disk.current / model.handle),
            }
            reason = check.run(self._config.check, variables, self._config.check_timeout)
            if reason is not None:
                return Failure(reason, model.handle)
        return None

    def _ended(self) -> None:
        """The job is over: say so at once, and delete what no rollback needs any more."""
        result = self._state.results[-1]
        level = logging.INFO if result.failure is None else logging.WARNING
        LOG.log(level, "Deployment %s: %s %s", result.offer.deployment, result.status, result.message or "")
        self._talk_at = min(self._talk_at, time.monotonic() + self._pause())
        self._tidy()

    def _pause(self) -> float:
        """Before a result is told: none, unless the service is away; then its waits go on."""
        return max(0.0, self._talk_at - time.monotonic()) if self._said.get("service") else 0.0

    def _hindered(self, reason: str) -> None:
        wait = self._wait("work", reason)
        self._tidy()
        state = hindered(self._state, reason, wait, self._config.patience, time.time())
        try:
            self._keep(state)
        except OSError:
            self._state = state  # on a full disk it is at least told; after a restart it is found out again
        if state.job is None:
            self._ended()

    def _wait(self, what: str, reason: str) -> float:
        wait = self._working.next()
        self._work_at = time.monotonic() + wait
        self._say(what, f"{reason} Next try in {wait:.0f} seconds.", key=reason)
        return wait

    def _keep(self, state: State) -> None:
        """Remember first, then act on it."""
        if state != self._state:
            memory.save(self._memory, state)
            self._state = state

    def _tidy(self) -> None:
        job = self._state.job
        releases = [self._state.good, job.before if job is not None else None]
        models = [model.sha1 for model in job.offer.models] if job is not None else []
        try:
            self._disk.tidy(releases, models)
        except OSError as trouble:
            self._say("tidy", f"Old models cannot be deleted: {trouble}")

    def _running(self) -> Sequence[Installed]:
        release = self._disk.release()
        return release.models if release is not None else ()

    def _say(self, what: str, message: str, *, key: str | None = None) -> None:
        """Warn of trouble once, and again when it changes: days of it are no reason to fill the log."""
        if self._said.get(what) != (key or message):
            self._said[what] = key or message
            LOG.warning("%s", message)

    def _well(self, what: str, message: str) -> None:
        if self._said.pop(what, None) is not None:
            LOG.info("%s", message)


def _named(models: Sequence[object]) -> str:
    return ", ".join(str(getattr(model, "handle", model)) for model in models) or "no models"
