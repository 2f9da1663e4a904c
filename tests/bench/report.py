"""The table: what was measured, and how the others compare with ours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

from controller.domain.api import PLURAL
from tests.bench.measure import list_calls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.measure import Idle, Life, Quota
    from tests.bench.ways import Way

_ROWS = (
    ("first start until idle", "start_seconds", "s"),
    ("first start: CPU", "start_cpu", "s"),
    ("memory before", "rss_before", "MB"),
    ("  (client: all posted)", "posted_seconds", "s"),
    ("until all have an ARN", "arn_seconds", "s"),
    ("  CPU for it", "create_cpu", "s"),
    ("memory after", "rss_after", "MB"),
    ("AWS calls a plan", "aws_calls_per_plan", ""),
    ("restart until idle", "restart_seconds", "s"),
    ("restart: CPU", "restart_cpu", "s"),
    ("restart: AWS calls", "restart_aws_calls", ""),
    ("until all are deleted", "delete_seconds", "s"),
    ("  CPU for it", "delete_cpu", "s"),
    ("AWS calls a deletion", "delete_aws_calls_per_plan", ""),
)
_WRITES = (("a plan", "writes_per_plan"), ("a deletion", "delete_writes_per_plan"))


def table(lives: Mapping[Way, Life], title: str) -> Table:
    """One column a way; in brackets the ratio to the first."""
    shown = Table(title=title, title_justify="left")
    shown.add_column("")
    for way in lives:
        shown.add_column(way.title, justify="right")
    base = next(iter(lives.values()))
    for label, name, unit in _ROWS:
        shown.add_row(label, *(_cell(getattr(life, name), getattr(base, name), unit) for life in lives.values()))
    for label, name in _WRITES:
        kinds = sorted({kind for life in lives.values() for kind in getattr(life, name)})
        for kind in kinds:
            shown.add_row(
                f"{label}: {kind.replace(PLURAL, '').replace(' /', ' ')}",
                *(f"{getattr(life, name).get(kind, 0):g}" for life in lives.values()),
            )
    if any(life.trouble for life in lives.values()):
        shown.add_row("trouble", *(life.trouble for life in lives.values()))
    return shown


def ours(idle: Idle, quota: Quota, plans: int) -> list[str]:
    """What only ours has, in sentences."""
    return [
        f"The first sweep after the creation, calls a plan: {idle.settling_calls_per_plan}.",
        (
            f"A sweep over {plans} idle plans: {idle.list_calls_per_sweep:.1f} ListEdgeDeploymentPlans calls "
            f"(pages of 100: {list_calls(plans)}), {idle.other_calls} other calls in {idle.sweeps} sweeps, "
            f"{idle.cpu_per_sweep * 1000:.0f} ms of CPU."
        ),
        (
            f"From a deletion to the ARN of the next plan under quota: median {quota.median:.2f} s, "
            f"worst {max(quota.round_trips):.2f} s of {len(quota.round_trips)}."
        ),
    ]


def _cell(value: float, base: float, unit: str) -> str:
    if math.isnan(value):
        return "-"
    number = f"{value:g}" if unit == "" else f"{value:.0f} {unit}" if unit == "MB" else f"{value:.2f} {unit}"
    if value == base or math.isnan(base) or base == 0 or unit == "":
        return number
    return f"{number} ({value / base:.2f}x)"
