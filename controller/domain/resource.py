"""The object as the loop sees it: identity, generation, spec, status; parsed once, at the door.

A body that cannot be parsed (an object stored under an older CRD, say) becomes a `Resource` whose `spec` is `InvalidSpec`,
so that it gets a Stalled condition instead of a crash.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from controller.domain.api import FINALIZER, RECONCILE_ANNOTATION
from controller.domain.spec import EdgeDeploymentPlanSpec, EntityName
from controller.domain.status import EdgeDeploymentPlanStatus

NAME_NEEDED = (
    "edgeDeploymentPlanName is needed: metadata.name, its default, is not 1 to 63 letters, digits and inner hyphens, "
    "as AWS demands"
)

_PLAN_NAME: TypeAdapter[str] = TypeAdapter(EntityName)


class Key(NamedTuple):
    """Namespace and name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Scope(NamedTuple):
    """Account and region at AWS: what quotas, throttling and sweeps are counted by."""

    account: str
    region: str


@dataclass(frozen=True)
class InvalidSpec:
    """A spec that the models refuse, with the reason for the user."""

    message: str


@dataclass(frozen=True)
class Resource:
    """One EdgeDeploymentPlan object at one resourceVersion."""

    key: Key
    uid: str
    generation: int
    resource_version: str
    created: datetime
    deleting: bool
    finalizers: tuple[str, ...]
    reconcile_requested_at: str | None
    spec: EdgeDeploymentPlanSpec | InvalidSpec
    status: EdgeDeploymentPlanStatus

    @property
    def plan_name(self) -> str:
        """Name of the plan at AWS."""
        named = self.spec.edge_deployment_plan_name if isinstance(self.spec, EdgeDeploymentPlanSpec) else None
        return named or self.key.name

    @property
    def has_finalizer(self) -> bool:
        """Whether our finalizer is on the object."""
        return FINALIZER in self.finalizers

    @property
    def asked(self) -> bool:
        """Whether somebody asked for a reconcile that has not been acted upon."""
        return (
            self.reconcile_requested_at is not None
            and self.reconcile_requested_at != self.status.last_handled_reconcile_at
        )

    @property
    def seniority(self) -> tuple[datetime, str]:
        """Sort key: the older object comes first; among equals the uid decides, so that all agree."""
        return (self.created, self.uid)


def parse(body: Any) -> Resource:
    """Parse the body of a watch event or of an API answer.

    A status that does not parse is dropped: it is ours, and the next reconcile writes it anew.
    """
    metadata = body["metadata"]
    spec: EdgeDeploymentPlanSpec | InvalidSpec
    try:
        spec = EdgeDeploymentPlanSpec.model_validate(dict(body.get("spec") or {}))
        if spec.edge_deployment_plan_name is None:
            _PLAN_NAME.validate_python(metadata["name"])
    except ValidationError as error:
        spec = InvalidSpec(describe(error))
    try:
        status = EdgeDeploymentPlanStatus.model_validate(dict(body.get("status") or {}))
    except ValidationError:
        status = EdgeDeploymentPlanStatus()
    return Resource(
        key=Key(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        resource_version=metadata["resourceVersion"],
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        deleting="deletionTimestamp" in metadata,
        finalizers=tuple(metadata.get("finalizers") or ()),
        reconcile_requested_at=(metadata.get("annotations") or {}).get(RECONCILE_ANNOTATION),
        spec=spec,
        status=status,
    )


def problem(detail: Any, root: str = "spec") -> tuple[str, str]:
    """Path and text of one pydantic error, worded as the API server words it."""
    path = root
    for part in detail["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    if detail["type"] == "missing":
        return path, "Required value"
    if detail["type"] == "extra_forbidden":
        return path, "unknown field"
    shown = detail["input"]
    value = f"{shown!r}" if isinstance(shown, str | int | float | bool) else ""
    return path, f"Invalid value: {value}: {detail['msg']}" if value else f"Invalid value: {detail['msg']}"


def describe(error: ValidationError) -> str:
    """All errors of a spec in one line, each with its field."""
    return "; ".join(f"{path}: {text}" for path, text in map(problem, error.errors()))
