"""What the garbage collector looks at."""

import gc
import weakref

from controller.operator.garbage import leave_all_alone, survivors_left_alone


class Node:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_full_collection_looks_at_what_came_since_the_last_one_and_at_nothing_else() -> None:
    with survivors_left_alone():
        kept = [[number] for number in range(10_000)]
        gc.collect()
        frozen = gc.get_freeze_count()
        assert frozen > len(kept)
        assert len(gc.get_objects()) < len(kept)
        dying = Node()
        reference = weakref.ref(dying)
        del dying
        gc.collect()
        assert reference() is None
    assert gc.get_freeze_count() == 0


def test_full_collections_come_before_there_is_much_to_look_at() -> None:
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            seen.append(len(gc.get_objects(generation=2)))

    before = gc.get_threshold()
    with survivors_left_alone():
        gc.callbacks.append(note)
        try:
            kept = [[number] for number in range(400_000)]
        finally:
            gc.callbacks.remove(note)
    assert len(kept) == 400_000
    assert seen
    assert max(seen[2:]) < 60_000  # the first ones wait for a quarter of what there was at the start
    assert gc.get_threshold() == before


def test_at_the_end_nothing_is_looked_at_any_more() -> None:
    leave_all_alone()
    try:
        assert gc.get_freeze_count() > 0
        assert not gc.get_objects()
    finally:
        gc.unfreeze()
