"""How `edgeplan diff` prints a difference: one line per call, wait and end; colours on a terminal, plain text elsewhere."""

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from controller.aws.accounts_file import OWN_ACCOUNT
from controller.commands.difference import Difference
from controller.domain.actions import (
    Action,
    AddTags,
    CreatePlan,
    CreateStages,
    DeletePlan,
    DeleteStage,
    DeleteTags,
    StartStage,
    StopStage,
)
from controller.domain.api import OWNER_TAG
from controller.domain.forecast import Call, End, Step, Wait, differs
from controller.domain.observed import ObservedStage
from controller.domain.outcomes import Done, Outcome, Pending, Stalled, Suspended, Waiting
from controller.domain.resource import Key
from controller.domain.spec import DeploymentConfig, DeviceSelectionConfig, Stage

_MARKS: dict[type[Action], tuple[str, str]] = {
    CreatePlan: ("+", "green"),
    CreateStages: ("+", "green"),
    AddTags: ("+", "green"),
    DeletePlan: ("-", "red"),
    DeleteStage: ("-", "red"),
    DeleteTags: ("-", "red"),
    StartStage: (">", "cyan"),
    StopStage: ("x", "yellow"),
}


def show(key: Key, source: str, difference: Difference) -> None:
    """Print one difference."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for line in lines(key, source, difference):
        console.print(line)


def totals(found: Sequence[Difference], *, failed: int) -> str:
    """One line on all of them."""
    refused = sum(_refused(one.steps) for one in found)
    changed = sum(differs(one.steps) for one in found) - refused
    counts = {
        "to change": changed,
        "refused": refused,
        "as specified": len(found) - changed - refused,
        "failed": failed,
    }
    calls = sum(isinstance(step, Call) for one in found for step in one.steps)
    words = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{len(found) + failed} plans: {words}; {calls} {'call' if calls == 1 else 'calls'} to AWS"


def as_json(found: Sequence[tuple[Key, str, Difference]]) -> str:
    """All of them for a program."""
    plans = [
        {
            "namespace": key.namespace,
            "name": key.name,
            "source": source,
            "plan": one.desired.name,
            "account": one.scope.account,
            "region": one.scope.region,
            "exists": one.observed is not None,
            "differs": differs(one.steps),
            "refused": _refused(one.steps),
            "steps": [_step_as_json(step, quiet=not differs(one.steps)) for step in one.steps],
        }
        for key, source, one in found
    ]
    return json.dumps({"plans": plans}, indent=2)


def _refused(steps: Sequence[Step]) -> bool:
    return any(isinstance(step, End) and isinstance(step.outcome, Stalled) for step in steps)


def _step_as_json(step: Step, *, quiet: bool) -> dict[str, Any]:
    if isinstance(step, Call):
        return {"call": type(step.action).__name__, "text": str(step.action)}
    if isinstance(step, Wait):
        return {"wait": step.text}
    return {"end": _ending(step.outcome, quiet=quiet)[1]}


def lines(key: Key, source: str, difference: Difference) -> Iterator[Text]:
    """The lines of one difference."""
    scope = difference.scope
    where = scope.region if scope.account == OWN_ACCOUNT else f"{scope.account}/{scope.region}"
    yield Text.assemble((str(key), "bold"), f" ({source}): plan {difference.desired.name} in {where}")
    for step in difference.steps:
        yield from _step(step, difference)
    if differs(difference.steps):
        yield from _stages(difference)


def _step(step: Step, difference: Difference) -> Iterator[Text]:
    if isinstance(step, Call):
        mark, colour = _MARKS[type(step.action)]
        yield Text(f"  {mark} {step.action}", style=colour)
        if isinstance(step.action, CreatePlan):
            models = (f"{model.model_handle}={model.edge_packaging_job_name}" for model in step.action.models)
            yield Text(f"      models: {', '.join(models)}", style=colour)
            tags = [f"{name}={value}" for name, value in step.action.tags.items() if name != OWNER_TAG]
            if tags:
                yield Text(f"      tags: {', '.join(tags)}", style=colour)
    elif isinstance(step, Wait):
        yield Text(f"  . {step.text}", style="dim")
    else:
        mark, text, style = _ending(step.outcome, quiet=not differs(difference.steps))
        yield Text(f"  {mark} {text}", style=style)


def _ending(outcome: Outcome, *, quiet: bool) -> tuple[str, str, str]:
    match outcome:
        case Done("InSync", message):
            return "=", "no difference" if quiet else message, "dim"
        case Done(reason, message):
            return "=", f"{reason}: {message}", "dim"
        case Stalled(reason, message, _):
            return "!", f"refused, {reason}: {message}", "bold red"
        case Pending():
            return "=", "policy.management is Observe: these calls are reported, not made", "yellow"
        case Suspended():
            return "=", "spec.suspend is true: nothing is reconciled", "dim"
        case Waiting(_, reason, message):
            return ".", f"{reason}: {message}", "dim"
        case _:
            raise AssertionError(f"a spec never ends as {outcome}")


def _stages(difference: Difference) -> Iterator[Text]:
    """A table of the stages that AWS has or the spec wants: status, devices, and what each selects."""
    have = {stage.name: stage for stage in difference.observed.stages} if difference.observed else {}
    want = {stage.stage_name: stage for stage in difference.desired.stages}
    rows = [("stage", "in AWS", "devices", "selects")]
    for name in dict.fromkeys([*have, *want]):
        held = have.get(name)
        status = held.status if held else "new"
        devices = difference.devices.get(name, "?") if held else "new"
        rows.append((name, status, devices, _selection(held, want.get(name))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows if len(rows) > 1 else ():
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        yield Text("    " + "  ".join([*cells, row[-1]]), style="" if row is not rows[0] else "dim")


def _selection(held: ObservedStage | None, wanted: Stage | None) -> str:
    before = _words(held.selection, held.deployment) if held else None
    if wanted is None:
        return f"{before} -> removed"
    # As AWS's own default where the spec leaves it open: no difference.
    policy = wanted.deployment_config or (held.deployment if held else None)
    after = _words(wanted.device_selection_config, policy)
    return after if before in {None, after} else f"{before} -> {after}"


def _words(selection: DeviceSelectionConfig, config: DeploymentConfig | None) -> str:
    names = ", ".join(selection.device_names or ())
    share = "" if selection.percentage is None else f"{selection.percentage}%"
    words = [selection.device_subset_type, share or names or selection.device_name_contains or ""]
    return " ".join(words) + (f", {config.failure_handling_policy}" if config else "")
