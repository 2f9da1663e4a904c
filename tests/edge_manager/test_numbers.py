"""A set kept as ranges is a set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_manager.domain.numbers import Numbers

# Few numbers close together: ranges meet, touch and nest.
SETS = st.sets(st.integers(0, 40))


@given(SETS, SETS)
def test_what_sets_do_their_ranges_do(left: set[int], right: set[int]) -> None:
    ours, theirs = Numbers.of(left), Numbers.of(right)
    assert list(ours) == sorted(left)
    assert len(ours) == len(left)
    assert list(ours | theirs) == sorted(left | right)
    assert list(ours - theirs) == sorted(left - right)
    assert [number in ours for number in range(-1, 43)] == [number in left for number in range(-1, 43)]
    assert (ours == theirs) == (left == right)


@given(SETS, st.integers(-1, 42), st.integers(0, 42))
def test_a_part_of_it_is_in_order(numbers: set[int], after: int, count: int) -> None:
    ours = Numbers.of(numbers)
    assert list(ours.after(after)) == [number for number in sorted(numbers) if number > after]
    assert list(ours.first(count)) == sorted(numbers)[:count]


@given(SETS, SETS)
def test_bounds_make_the_same_set_and_are_as_few_as_can_be(left: set[int], right: set[int]) -> None:
    for ours in (Numbers.of(left), Numbers.of(left) | Numbers.of(right), Numbers.of(left) - Numbers.of(right)):
        assert Numbers(ours.bounds) == Numbers.of(ours)
        assert hash(Numbers(ours.bounds)) == hash(Numbers.of(list(ours)))
        assert ours.bounds == Numbers.of(list(ours)).bounds


def test_a_fleet_that_was_registered_in_one_go_takes_two_numbers() -> None:
    assert Numbers.of(range(7, 100_007)).bounds == [7, 100_006]
    assert repr(Numbers.of([1, 2, 5])) == "Numbers([1, 2, 5, 5])"
