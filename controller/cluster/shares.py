"""Who of several operators should work on which shard of the objects. Pure: `shards.py` keeps the Leases."""

from collections.abc import Collection, Sequence
from hashlib import sha256

_SPACE = 64  # bits of the hash


def shard_of(part: str, shards: int) -> int:
    """The shard of an object: in which of so many equal ranges the hash of its uid falls, or of its namespace."""
    return int.from_bytes(sha256(part.encode()).digest()[: _SPACE // 8]) * shards >> _SPACE


def share_out(holders: Sequence[str | None], members: Collection[str]) -> tuple[str | None, ...]:
    """Who should hold each shard, from who holds it now.

    Each member has as many as any other, or one more; everybody keeps what it has as far as that allows, so that nothing
    moves without need. All who see the same come to the same. What somebody holds who is no member is free.
    """
    if not members:
        return (None,) * len(holders)
    held = {member: [shard for shard, holder in enumerate(holders) if holder == member] for member in members}
    least, over = divmod(len(holders), len(held))
    ranked = sorted(held, key=lambda member: (-len(held[member]), member))
    room = {member: least + (rank < over) for rank, member in enumerate(ranked)}
    planned = {shard: member for member, shards in held.items() for shard in shards[: room[member]]}
    free = (shard for shard in range(len(holders)) if shard not in planned)
    for member in ranked:
        planned.update((next(free), member) for _ in range(room[member] - len(held[member])))
    return tuple(planned[shard] for shard in range(len(holders)))
