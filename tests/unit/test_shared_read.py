"""One read for many who ask at the same time."""

import asyncio

import pytest

from controller.cluster.shared import SharedRead


class Source:
    """What is read, and how often it was; a read takes until it is let on."""

    def __init__(self) -> None:
        self.begun = 0
        self.let_on = asyncio.Event()

    async def read(self) -> int:
        self.begun += 1
        number = self.begun
        await self.let_on.wait()
        return number


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_asks_at_once_shares_one_read_and_who_asks_later_gets_a_later_one() -> None:
    async def play() -> tuple[list[int], int]:
        source = Source()
        shared = SharedRead(source.read)
        early = [asyncio.create_task(shared()) for _ in range(3)]
        await settle()
        late = [asyncio.create_task(shared()) for _ in range(3)]
        await settle()
        assert source.begun == 1
        source.let_on.set()
        return await asyncio.gather(*early, *late), source.begun

    assert asyncio.run(play()) == ([1, 1, 1, 2, 2, 2], 2)


def test_a_read_that_fails_fails_for_all_who_share_it_and_not_for_the_next() -> None:
    async def play() -> int:
        answers = iter((OSError("down"), 7))

        async def read() -> int:
            answer = next(answers)
            if isinstance(answer, OSError):
                raise answer
            return answer

        shared = SharedRead(read)
        failed = await asyncio.gather(shared(), shared(), return_exceptions=True)
        assert [str(error) for error in failed] == ["down", "down"]
        return await shared()

    assert asyncio.run(play()) == 7


def test_one_who_gives_up_leaves_the_read_to_the_others() -> None:
    async def play() -> int:
        source = Source()
        shared = SharedRead(source.read)
        hasty, patient = asyncio.create_task(shared()), asyncio.create_task(shared())
        await settle()
        hasty.cancel()
        source.let_on.set()
        with pytest.raises(asyncio.CancelledError):
            await hasty
        return await patient

    assert asyncio.run(play()) == 1
