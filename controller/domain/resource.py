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
    """Account and region in AWS: what quotas, throttling and sweeps are counted by."""

    account: str
    region: str


_NOTHING = EdgeDeploymentPlanSpec.model_construct(model_configs=(), device_fleet_name="")


@dataclass(frozen=True)
class InvalidSpec:
    """A spec that the models refuse, with the reason for the user."""

    message: str
    salvaged: EdgeDeploymentPlanSpec = _NOTHING
    """What can be read of it."""
    unreadable: tuple[str, ...] = ()
    """The fields that cannot."""


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
    def readable_spec(self) -> EdgeDeploymentPlanSpec:
        """The spec, or what can be read of it."""
        return self.spec.salvaged if isinstance(self.spec, InvalidSpec) else self.spec

    @property
    def plan_name(self) -> str:
        """Name of the AWS plan."""
        return self.readable_spec.edge_deployment_plan_name or self.key.name

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
    def edited(self) -> bool:
        """Whether the spec changed since the status was written."""
        return self.generation != self.status.observed_generation

    @property
    def wants_a_plan(self) -> bool:
        """Whether the object is to have a plan in AWS that the controller may create."""
        spec = self.spec
        return not self.deleting and isinstance(spec, EdgeDeploymentPlanSpec) and spec.manages and not spec.suspend

    @property
    def holds_its_name(self) -> bool:
        """Whether the object keeps others from the AWS plan that it names; who only observes does not."""
        return not isinstance(self.spec, InvalidSpec) and self.spec.manages

    @property
    def seniority(self) -> tuple[datetime, str]:
        """Sort key: the older object comes first; among equals the uid decides, so that all agree."""
        return (self.created, self.uid)


def parse(body: Any) -> Resource:
    """Parse the body of a watch event or of an API answer.

    A status that does not parse is dropped: it is ours, and the next reconcile writes it again.
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


def account_of(arn: str) -> str | None:
    """The account id in an ARN, if it has the form of one."""
    parts = arn.split(":")
    return parts[4] if len(parts) > len(("arn", "aws", "sagemaker", "region", "account")) else None


def region_of(arn: str) -> str | None:
    """The region in an ARN, if it has the form of one."""
    parts = arn.split(":")
    return parts[3] if len(parts) > len(("arn", "aws", "sagemaker", "region", "account")) else None


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
