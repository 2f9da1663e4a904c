"""The whole life of plans, at random: it always converges to the spec, or to a Stalled that names the true reason.

Never two plans for one object, never a lost plan, never a deletion that was not asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.life.hostility import Hostility
from tests.life.machine import AWS
from tests.life.users import Users
from tests.life.virtual import VirtualLoop


@pytest.fixture(scope="module", autouse=True)
def _closed_loop() -> Iterator[None]:
    yield
    AWS.close()


class Life(Users, Hostility):
    """Users, people in AWS, trouble and crashes, in any order; after each stretch of it the truth is looked at."""


def test_every_life_converges_and_every_status_is_true(capsys: pytest.CaptureFixture[str]) -> None:
    Life.steps.clear()
    run_state_machine_as_test(Life, settings=settings())
    total = sum(Life.steps.values())
    with capsys.disabled():
        for title, counts in ((f"{total} steps", Life.steps), ("endings", Life.endings)):
            sys.stdout.write(
                f"\n{title}: {', '.join(f'{name} {count}' for name, count in counts.most_common() if count)}"
            )
        sys.stdout.write("\n")
    assert total >= (100_000 if settings().max_examples > 1000 else 2_000)


def test_a_callback_that_fails_is_not_overheard() -> None:
    loop = VirtualLoop()
    loop.call_soon(dict[str, str]().pop, "news")
    loop.run_ready()
    loop.close()
    assert [type(error) for error in loop.failed] == [KeyError]
