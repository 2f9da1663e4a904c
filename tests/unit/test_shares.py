"""Who should hold which shard: state in, value out."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from controller.cluster.shares import shard_of, share_out

MEMBERS = st.sets(st.sampled_from("abcdefgh"))
HOLDERS = st.lists(st.none() | st.sampled_from("abcdefghij"), min_size=1, max_size=20)


@given(HOLDERS, MEMBERS)
def test_every_shard_is_one_members_if_there_is_any(holders: list[str | None], members: set[str]) -> None:
    planned = share_out(holders, members)
    assert len(planned) == len(holders)
    assert set(planned) <= (set[str | None](members) or {None})


@given(HOLDERS, MEMBERS.filter(bool))
def test_nobody_has_more_than_one_shard_more_than_another(holders: list[str | None], members: set[str]) -> None:
    counts = Counter(share_out(holders, members))
    shares = [counts[member] for member in members]
    assert max(shares) - min(shares) <= 1


@given(HOLDERS, MEMBERS)
def test_plan_that_is_carried_out_stays(holders: list[str | None], members: set[str]) -> None:
    planned = share_out(holders, members)
    assert share_out(planned, members) == planned


@given(HOLDERS, MEMBERS.filter(bool))
def test_nobody_gives_up_a_shard_without_having_its_fair_share(holders: list[str | None], members: set[str]) -> None:
    planned = share_out(holders, members)
    for shard, holder in enumerate(holders):
        if holder in members and planned[shard] != holder:
            assert planned.count(holder) >= len(holders) // len(members)
            assert planned.count(holder) < holders.count(holder)


@given(HOLDERS, MEMBERS.filter(bool), st.data())
def test_shards_move_one_after_the_other_to_the_same_end(
    holders: list[str | None], members: set[str], data: st.DataObject
) -> None:
    """Whatever order they are released and taken in: who looks in between plans nothing that has to be undone."""
    now, moves = list(holders), 0
    while now != list(planned := share_out(now, members)):
        shard = data.draw(st.sampled_from([shard for shard, holder in enumerate(now) if holder != planned[shard]]))
        now[shard] = planned[shard] if now[shard] not in members else None
        moves += 1
    assert moves <= 2 * len(holders)


@given(st.uuids(), st.integers(1, 64))
def test_shard_of_an_object_is_one_of_them(uid: object, shards: int) -> None:
    assert shard_of(str(uid), shards) in range(shards)
    assert shard_of(str(uid), 1) == 0


def test_shards_are_of_about_the_same_size() -> None:
    counts = Counter(shard_of(f"uid-{number}", 3) for number in range(3000))
    assert set(counts) == {0, 1, 2}
    assert min(counts.values()) > 900


def test_shard_of_a_uid_is_the_same_in_every_version() -> None:
    assert [shard_of(f"uid-{number}", 5) for number in range(10)] == [2, 1, 3, 4, 1, 0, 0, 1, 0, 0]
