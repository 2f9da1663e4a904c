"""How plans look to a person: objects, events and the time in, text of a given width out. Pure.

From the objects alone (and where the docs are read), so that whoever may read them sees all of it. Shapes differ where colours do.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from controller.cluster.access import Occurrence
from controller.commands.documents import troubleshooting
from controller.domain.reasons import Reason
from controller.domain.resource import InvalidSpec, Resource, account_of, region_of
from controller.domain.spec import Rollout, duration
from controller.domain.status import StageState

_STYLES = {"DEPLOYED": "green", "FAILED": "bold red", "INPROGRESS": "cyan", "STARTING": "cyan", "STOPPED": "yellow"}
_SHAPES = {"█": "green", "x": "bold red", "░": "dim"}
_EVENTS_SHOWN = 6
_GAP = 2
_STATE_COLUMN = 2
_LEAST_MESSAGE = 20  # columns: of less nobody reads anything
_BAR = (10, 30)  # columns that a bar of devices has, at least and at most
_BESIDE_BAR = 66  # columns of what else stands in a stage's row


class State(NamedTuple):
    """What an object comes to, in a word, with the words that explain it."""

    word: str
    message: str
    style: str


def state(resource: Resource) -> State:
    """The state of an object, in the order in which kstatus decides."""
    status = resource.status
    stalled, reconciling, ready = (status.condition(kind) for kind in ("Stalled", "Reconciling", "Ready"))
    if stalled is not None and stalled.status == "True" and not resource.edited:
        going = "Deleting, " if resource.deleting else ""
        return State(f"{going}Stalled: {stalled.reason}", stalled.message, "bold red")
    if resource.deleting:
        return State("Deleting", reconciling.message if reconciling else "", "yellow")
    if ready is None:
        return State("Waiting", "no operator has looked at it yet", "yellow")
    if resource.edited:
        return State("Waiting", "the operator has not taken up the last change of the spec yet", "yellow")
    if reconciling is not None and reconciling.status == "True":
        # That it is tried again is said below; Ready says why, unless the plan stays ready meanwhile.
        failing = reconciling.reason == Reason.PROGRESSING_WITH_RETRY and ready.status != "True"
        return State(ready.reason if failing else reconciling.reason, reconciling.message, "cyan")
    if ready.status == "True":
        return State(f"Ready: {ready.reason}", ready.message, "green")
    return State(ready.reason, ready.message, "yellow")


def overview(resources: Sequence[Resource], now: datetime, width: int, *, with_namespace: bool) -> RenderableType:
    """A line for each object; its message as far as there is room."""
    if not resources:
        return Text("no edge deployment plans")
    titles = ("NAMESPACE", "NAME", "STATE", "STAGES", "DEVICES", "AGE")
    rows = [(titles, "MESSAGE", "dim")]
    for resource in sorted(resources, key=lambda each: each.key):
        shown, devices = state(resource), resource.status.devices
        total = devices.succeeded + devices.pending + devices.failed if devices else 0
        counts = f"{devices.succeeded}/{total}" if devices else "-"
        cells = (
            *resource.key,
            shown.word,
            resource.status.stages_deployed or "-",
            counts,
            length(now - resource.created),
        )
        rows.append((cells, " ".join(shown.message.split()), shown.style))
    columns = range(0 if with_namespace else 1, len(titles))
    widths = {column: max(len(cells[column]) for cells, *_ in rows) for column in columns}
    room = width - sum(widths.values()) - _GAP * len(widths)
    lines = []
    for cells, message, style in rows:
        line = Text(no_wrap=True, overflow="ellipsis")
        for column in columns:
            coloured = style if column == _STATE_COLUMN or cells is titles else ""
            line.append(cells[column].ljust(widths[column] + _GAP), style=coloured)
        if room >= _LEAST_MESSAGE:
            line.append(message, style="dim" if cells is titles else "")
        line.rstrip()
        lines.append(line)
    return Group(*lines)


def detail(resource: Resource, events: Sequence[Occurrence] | None, now: datetime, width: int) -> RenderableType:
    """All that there is to say of one object."""
    return Group(*_parts(resource, events, now, width))


def _parts(
    resource: Resource, events: Sequence[Occurrence] | None, now: datetime, width: int
) -> Iterator[RenderableType]:
    shown = state(resource)
    yield Text.assemble((str(resource.key), "bold"), "  ", (shown.word, shown.style))
    yield _indented(Text(_where(resource), style="dim"))
    if shown.message:
        yield _indented(Text(shown.message))
    for text in _notes(resource, now):
        yield _indented(text)
    if resource.status.stages:
        yield Text()
        yield _indented(_stages(resource, resource.status.stages, now, width))
        for stage in resource.status.stages:
            devices = stage.failed_devices or ()
            if stage.message and not any(stage.message in (device.message or "") for device in devices):
                told = Text.assemble((f"{stage.stage_name}: ", "bold"), stage.message)
                told.stylize("red" if stage.devices_failed else "")
                yield _indented(told)
            for device in devices:
                told = Text.assemble((f"{stage.stage_name}: x {device.device_name}", "bold red"))
                told.append(f": {device.message}" if device.message else "")
                yield _indented(told)
    if resource.status.pending_changes:
        yield Text()
        yield _indented(Text("would be done under policy.management Manage:", style="dim"))
        yield from (_indented(Text(change), 4) for change in resource.status.pending_changes)
    if events:
        yield Text()
        yield _indented(Text("last events", style="dim"))
        yield _indented(event_table(events[-_EVENTS_SHOWN:], now, with_name=False))
    elif events is None:
        yield _indented(Text("events: reading them is not allowed", style="dim"))


def _where(resource: Resource) -> str:
    arn = resource.status.edge_deployment_plan_arn
    if arn is None:
        stalled = resource.status.condition("Stalled")
        foreign = stalled is not None and stalled.reason in {Reason.NAME_CONFLICT, Reason.NOT_OWNED}
        away = resource.status.replacing_since
        gone = f"deleted {away:%F %T} UTC to be created again" if away else "not in AWS, as far as is known"
        return f"plan {resource.plan_name}: " + ("another's" if foreign else gone)
    return f"plan {resource.plan_name} in {region_of(arn)}, account {account_of(arn)}"


def _notes(resource: Resource, now: datetime) -> Iterator[Text]:
    """What comes next, what holds it up, and where to read about it."""
    status, above = resource.status, state(resource).message
    if isinstance(resource.spec, InvalidSpec):
        yield Text(f"the spec is not valid: {resource.spec.message}", style="bold red")
    if resource.readable_spec.suspend:
        yield Text("suspended: `edgeplan resume` goes on", style="yellow")
    quota = status.condition("ResourceLimitExceeded")
    if quota is not None and quota.status == "True" and quota.message != above:
        yield Text(f"quota: {quota.message}", style="yellow")
    if status.retry is not None:
        wait = status.retry.next_attempt_time - now
        when = f"in {length(wait)}" if wait > timedelta(0) else "due now"
        error = status.retry.last_error
        said = " ".join(error.message.split()) in " ".join(above.split())
        words = "" if said else f": {error.code}: {error.message}"
        if error.request_id and error.request_id not in above:
            words += f" (request {error.request_id})"
        yield Text(f"next try {when}, after {_times(status.retry.attempts)}{words}")
    if resource.asked:
        yield Text("a reconcile was asked for and is not taken up yet", style="dim")
    if section := troubleshooting(resource):
        yield Text(f"see {section}", style="dim")


def _stages(resource: Resource, stages: Sequence[StageState], now: datetime, width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("STAGE", overflow="fold")
    table.add_column("STATUS", no_wrap=True)
    table.add_column("DEVICES", no_wrap=True)
    table.add_column("", overflow="fold")
    bar_width = min(max(width - _BESIDE_BAR, _BAR[0]), _BAR[1])
    rollout = resource.readable_spec.rollout
    names = [stage.stage_name for stage in stages]
    gate = rollout.through_stage if rollout else None
    for place, stage in enumerate(stages):
        done = Text.assemble(bar(stage, bar_width), "  ", _counts(stage))
        status = Text(stage.status, style=_STYLES.get(stage.status, ""))
        table.add_row(stage.stage_name, status, done, _remark(rollout, stages, place, now))
        if stage.stage_name == gate and place + 1 < len(names):
            table.add_row(Text("── gate ──", style="magenta"), "", Text(f"next is {names[place + 1]}", style="dim"), "")
    return table


def bar(stage: StageState, width: int) -> Text:
    """The devices of a stage: `█` have the models, `x` failed, `░` wait or are under way."""
    counts = {"█": stage.devices_succeeded, "x": stage.devices_failed, "░": stage.devices_pending}
    total = sum(counts.values())
    if not total:
        return Text("·" * width, style="dim")
    # One failed device of a thousand is to be seen; the largest share gives way, and takes what rounding leaves.
    columns = {shape: max(count * width // total, 1) if count else 0 for shape, count in counts.items()}
    columns[max(counts, key=lambda shape: counts[shape])] += width - sum(columns.values())
    return Text.assemble(*((shape * columns[shape], style) for shape, style in _SHAPES.items()))


def _counts(stage: StageState) -> str:
    total = stage.devices_succeeded + stage.devices_failed + stage.devices_pending
    failed = f", {stage.devices_failed} failed" if stage.devices_failed else ""
    return f"{stage.devices_succeeded}/{total}{failed}"


def _remark(rollout: Rollout | None, stages: Sequence[StageState], place: int, now: datetime) -> Text:
    """How long a stage takes, or bakes before the next one."""
    stage = stages[place]
    following = stages[place + 1] if place + 1 < len(stages) else None
    gated = rollout is not None and rollout.through_stage == stage.stage_name
    if (
        rollout is not None
        and rollout.bake_time
        and stage.deployed_time is not None
        and following is not None
        and not gated
        and following.status == "READYTODEPLOY"
    ):
        left = stage.deployed_time + duration(rollout.bake_time) - now
        return Text(f"bakes for {length(left)}" if left > timedelta(0) else "baked", style="cyan")
    if stage.status in {"STARTING", "INPROGRESS", "STOPPING"} and stage.start_time is not None:
        taken = f"for {length(now - stage.start_time)}"
        limit = f" of {rollout.progress_deadline}" if rollout is not None and rollout.progress_deadline else ""
        return Text(taken + limit, style="cyan")
    return Text()


def event_table(events: Sequence[Occurrence], now: datetime, *, with_name: bool) -> Table:
    """Events, a line each, or several where they are long."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=with_name)
    table.add_column("AGE", no_wrap=True)
    if with_name:
        table.add_column("NAME", overflow="fold")
    table.add_column("REASON", no_wrap=True)
    table.add_column("WHAT HAPPENED", overflow="fold", ratio=1)
    for event in events:
        style = "yellow" if event.type == "Warning" else ""
        mark = "! " if event.type == "Warning" else "  "
        often = f" (x{event.count})" if event.count > 1 else ""
        name = [event.name] if with_name else []
        table.add_row(
            length(now - event.time), *name, Text(f"{mark}{event.reason}", style=style), f"{event.note}{often}"
        )
    return table


def length(time: timedelta) -> str:
    """A length of time in its two largest units."""
    seconds = max(int(time.total_seconds()), 0)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if seconds >= size:
            parts.append(f"{seconds // size}{unit}")
            seconds %= size
    return "".join(parts[:2]) or "0s"


def _times(attempts: int) -> str:
    return "1 failure" if attempts == 1 else f"{attempts} failures"


def _indented(part: RenderableType, columns: int = 2) -> Padding:
    return Padding(part, (0, 0, 0, columns))
