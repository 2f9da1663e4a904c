"""The death of the operator's process, as an exception that nothing catches."""

from collections.abc import Callable


class Crash(BaseException):
    """The process was killed here."""


class Mortality:
    """Counts down the calls to the outside that a process still lives to make."""

    def __init__(self, died: Callable[[], None] = lambda: None) -> None:
        self.dead = False
        self._died = died
        self._countdown: int | None = None
        self._after = False

    def schedule(self, calls: int, *, after: bool) -> None:
        """Die at the call of that number from now on, before its work is done or after."""
        self._countdown, self._after = calls, after

    def spare(self) -> None:
        """Let it live on."""
        self._countdown = None

    def kill(self) -> None:
        """No call goes out any more."""
        self.dead, self._countdown = True, None

    def before_work(self) -> None:
        """A call goes out."""
        if self.dead:
            raise Crash
        if self._countdown is None:
            return
        self._countdown -= 1
        if self._countdown <= 0 and not self._after:
            self._die()

    def after_work(self) -> None:
        """Its work is done, the answer is on its way."""
        if self.dead or (self._countdown is not None and self._countdown <= 0):
            self._die()

    def _die(self) -> None:
        self.kill()
        self._died()
        raise Crash
