"""Python's garbage collector, told that what lives long here lives very long.

A full collection looks at every object that there is: with ten thousand plans it holds up the event loop for a quarter of
a second, and finds next to nothing, for what the operator keeps has no cycles.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_OLDEST = 2
_SOON = 2  # collections of the middle generation, seven thousand survivors each, before a full one


@contextmanager
def survivors_left_alone() -> Iterator[None]:
    """Let a full collection look at nothing that an earlier one has looked at, and come before there is much to look at.

    What was alive then and dies in a cycle later is never freed: tasks and connections under way at that moment, some
    kilobytes at the most.
    """
    gc.collect()
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(*thresholds[:2], _SOON)
    gc.callbacks.append(_leave_survivors_alone)
    try:
        yield
    finally:
        gc.callbacks.remove(_leave_survivors_alone)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def leave_all_alone() -> None:
    """Let the interpreter end without looking at every object once more, which takes longer than all else of a stop."""
    gc.freeze()


def _leave_survivors_alone(phase: str, info: Mapping[str, int]) -> None:
    if phase == "stop" and info["generation"] == _OLDEST:
        gc.freeze()
