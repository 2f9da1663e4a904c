"""An operator that takes over what another one did: all that it knows is looked at again."""

import asyncio

from controller.domain.agenda import Wake
from controller.domain.resource import Key, Resource
from controller.engine.news import News
from controller.engine.quotas import Quotas
from controller.operator.process import Operator
from controller.operator.settings import Settings
from tests.unit.builders import plan
from tests.unit.ports import MemoryAccounts


class Successor(Operator):
    """One that knows so many objects already. Even and odd ones are in two shards."""

    def __init__(self, count: int) -> None:
        super().__init__(Settings())
        self.woken: list[int] = []
        self.news = News(index=self.index, accounts=MemoryAccounts(), quotas=Quotas(self.note), wake=self.note)
        for number in range(count):
            self.index.put(plan(name=f"plan-{number}", uid=f"uid-{number}"))

    def note(self, key: Key, *_: Wake) -> None:
        self.woken.append(int(key.name.removeprefix("plan-")))

    def shard(self, resource: Resource) -> int:
        return int(resource.uid.removeprefix("uid-")) % 2


def test_others_have_their_turn_while_all_objects_are_looked_at_again() -> None:
    async def take_over() -> tuple[list[int], set[int]]:
        operator, turns = Successor(1200), set()

        async def look() -> None:
            while True:
                turns.add(len(operator.woken))
                await asyncio.sleep(0)

        looking = asyncio.create_task(look())
        again = asyncio.create_task(operator._look_again({0}, everywhere=True))
        await asyncio.sleep(0)
        operator.index.remove(Key("retail", "plan-1100"), "uid-1100")  # it goes meanwhile
        await again
        looking.cancel()
        return operator.woken, turns

    woken, turns = asyncio.run(take_over())
    assert woken == [number for number in range(1200) if number != 1100]
    assert turns - {0, len(woken)}


def test_of_a_shard_that_comes_later_its_own_objects_are_looked_at() -> None:
    async def gain() -> list[int]:
        operator = Successor(10)
        await operator._look_again({1}, everywhere=False)
        return operator.woken

    assert asyncio.run(gain()) == [1, 3, 5, 7, 9]
