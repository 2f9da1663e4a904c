"""The object as the loop sees it: identity, generation, spec, status; parsed once, at the door.

A body that cannot be parsed (an object stored under an older CRD, say) becomes a `Plan` whose `spec` is `InvalidSpec`,
so that it gets a Stalled condition instead of a crash.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from controller.domain.spec import ENTITY_NAME_PATTERN, EdgeDeploymentPlanSpec, EntityName
from controller.domain.status import EdgeDeploymentPlanStatus

GROUP = "edgeplan.dev"
API_VERSION = f"{GROUP}/v1alpha1"
KIND = "EdgeDeploymentPlan"
PLURAL = "edgedeploymentplans"
FINALIZER = f"{GROUP}/aws-plan"
RECONCILE_ANNOTATION = f"{GROUP}/reconcile-requested-at"

_NAME = "(has({0}.spec.edgeDeploymentPlanName) ? {0}.spec.edgeDeploymentPlanName : {0}.metadata.name)"
_TARGET = "(has({0}.spec.target) && has({0}.spec.target.{1}) ? {0}.spec.target.{1} : '')"


NAME_NEEDED = (
    "edgeDeploymentPlanName is needed: metadata.name, its default, is not 1 to 63 letters, digits and inner hyphens, "
    "as AWS demands"
)


def _immutable_target(part: str) -> dict[str, str]:
    return {
        "rule": f"{_TARGET.format('self', part)} == {_TARGET.format('oldSelf', part)}",
        "message": f"target.{part} cannot be changed: the plan would stay behind where it is; "
        "delete the object and create it anew",
        "fieldPath": ".spec.target",
    }


ROOT_RULES: tuple[dict[str, str], ...] = (
    {
        "rule": f"has(self.spec.edgeDeploymentPlanName) || self.metadata.name.matches('{ENTITY_NAME_PATTERN}')",
        "message": NAME_NEEDED,
        "fieldPath": ".spec",
    },
    {
        "rule": f"{_NAME.format('self')} == {_NAME.format('oldSelf')}",
        "message": "edgeDeploymentPlanName cannot be changed: it names another AWS plan; "
        "delete the object and create it anew",
        "fieldPath": ".spec.edgeDeploymentPlanName",
    },
    _immutable_target("account"),
    _immutable_target("region"),
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
class Plan:
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
    def held(self) -> bool:
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


def parse(body: Any) -> Plan:
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
    return Plan(
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
