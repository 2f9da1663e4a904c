"""The figures as Markdown tables, for docs/performance.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.bench.figures import Figures

_CPU = ("controller", "apiserver", "etcd", "endpoint", "client")


def table(found: Iterable[Figures]) -> Iterator[str]:
    """A row a phase: seconds, CPU in ms an object, calls and requests an object, memory, the longest block."""
    cpu = "controller, API server, etcd, endpoint, client"
    yield (
        f"| phase | N | | wall | CPU in ms an object: {cpu} "
        "| AWS calls | throttled | API requests | RSS | longest block, and without waiting for a core, in ms |"
    )
    yield "|---" * 10 + "|"
    for each in found:
        cpu = ", ".join(f"{each.cpu.get(name, 0) / each.objects * 1000:.1f}" for name in _CPU)
        blocks = (each.longest_block, each.longest_block_own)
        block = ", ".join(f"{seconds * 1000:.0f}" for seconds in blocks if seconds is not None)
        yield (
            f"| {each.phase} | {each.objects} | {each.controller} | {each.wall:.1f} s | {cpu} "
            f"| {_counts(each.aws)} | {each.throttled} | {_counts(each.api)} | {each.memory:.0f} MB | {block} |"
        )
        if each.extra:
            yield f"  {each.extra}"
        if each.trouble:
            yield f"  trouble: {each.trouble}"


def _counts(counts: Mapping[str, int]) -> str:
    return f"{sum(counts.values())}: " + ", ".join(f"{number} {name}" for name, number in counts.items())
