"""The object as the loop sees it: identity, generation, spec, status; parsed once, at the door.

A body that cannot be parsed (an object stored under an older CRD, say) becomes a `Resource` whose `spec` is `InvalidSpec`,
so that it gets a Stalled condition instead of a crash.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_snake

from controller.domain.api import FINALIZER, RECONCILE_ANNOTATION
from controller.domain.spec import EdgeDeploymentPlanSpec, EntityName, Policy, Target
from controller.domain.status import EdgeDeploymentPlanStatus

NAME_NEEDED = (
    "edgeDeploymentPlanName is needed: metadata.name, its default, is not 1 to 63 letters, digits and inner hyphens, "
    "as AWS demands"
)

_PLAN_NAME: TypeAdapter[str] = TypeAdapter(EntityName)
_LONGEST_TOKEN = 128
# What a deletion needs: which plan, where it is, and what becomes of it.
_SALVAGED: Mapping[str, TypeAdapter[Any]] = {
    "edgeDeploymentPlanName": TypeAdapter(EntityName),
    "policy": TypeAdapter(Policy),
    "target": TypeAdapter(Target),
}


class Key(NamedTuple):
    """Namespace and name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Scope(NamedTuple):
    """Account and region: what quotas, throttling and sweeps are counted by."""

    account: str
    region: str


def _nothing() -> EdgeDeploymentPlanSpec:
    return EdgeDeploymentPlanSpec.model_construct(model_configs=(), device_fleet_name="")


@dataclass(frozen=True)
class InvalidSpec:
    """A spec that the models refuse, with the reason for the user and what of it can be read all the same."""

    message: str
    salvaged: EdgeDeploymentPlanSpec = field(default_factory=_nothing)
    """edgeDeploymentPlanName, policy and target, each where it is valid by itself; nothing else is to be relied on."""
    unreadable: tuple[str, ...] = ()
    """The top-level fields that are not valid, as the wire names them."""


@dataclass(frozen=True, slots=True)
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
    managers: tuple[str, ...] = ()
    """Who wrote the spec, as the API server names them."""

    @property
    def version(self) -> int:
        """The resourceVersion as a number: those of one resource compare as integers (KEP-5504)."""
        return int(self.resource_version)

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

    def takes_over(self, former: "Resource") -> bool:
        """Whether the plan that a former object of this name left is to be this one's."""
        same = (self.plan_name, self.readable_spec.target) == (former.plan_name, former.readable_spec.target)
        return same and self.wants_a_plan and not self.status.is_true("Stalled")

    @property
    def holds_its_name(self) -> bool:
        """Whether the object keeps others from the AWS plan that it names; who only observes does not."""
        return not isinstance(self.spec, InvalidSpec) and self.spec.manages

    @property
    def seniority(self) -> tuple[datetime, str]:
        """Sort key: the older object comes first; among equals the uid decides, so that all agree."""
        return (self.created, self.uid)


def parse(body: Any, known: Resource | None = None) -> Resource:
    """Parse the body of a watch event or of an API answer; `known` is another version of the object, if one is at hand.

    A status that does not parse is dropped: it is ours, and the next reconcile writes a whole one.
    """
    metadata = body["metadata"]
    deleting = "deletionTimestamp" in metadata
    # A generation has one spec: the API server counts on with each change of it, and once when a deletion begins
    # (BeforeDelete and markAsDeleting in kube-apiserver's registry).
    counted = known.generation + (deleting and not known.deleting) if known is not None else None
    same = known is not None and (known.uid, counted) == (metadata["uid"], metadata.get("generation", 1))
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
        deleting=deleting,
        finalizers=tuple(metadata.get("finalizers") or ()),
        reconcile_requested_at=_bounded((metadata.get("annotations") or {}).get(RECONCILE_ANNOTATION)),
        spec=known.spec if known is not None and same else _parse_spec(dict(body.get("spec") or {}), metadata["name"]),
        status=status,
        managers=tuple(each["manager"] for each in metadata.get("managedFields") or () if "f:spec" in each["fieldsV1"]),
    )


def account_of(arn: str) -> str | None:
    """The account id in an ARN, if it has the form of one."""
    parts = arn.split(":")
    return parts[4] if len(parts) > len(("arn", "aws", "sagemaker", "region", "account")) else None


def region_of(arn: str) -> str | None:
    """The region in an ARN, if it has the form of one."""
    parts = arn.split(":")
    return parts[3] if len(parts) > len(("arn", "aws", "sagemaker", "region", "account")) else None


def _parse_spec(body: Mapping[str, Any], name: str) -> EdgeDeploymentPlanSpec | InvalidSpec:
    try:
        spec = EdgeDeploymentPlanSpec.model_validate(body)
    except ValidationError as error:
        refused = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors() if detail["loc"])
        return InvalidSpec(describe(error), _salvage(body), tuple(refused))
    if spec.edge_deployment_plan_name is None:
        try:
            _PLAN_NAME.validate_python(name)
        except ValidationError:
            return InvalidSpec(f"spec.{NAME_NEEDED}", spec, ("edgeDeploymentPlanName",))
    return spec


def _salvage(body: Mapping[str, Any]) -> EdgeDeploymentPlanSpec:
    """Those of the fields that a deletion needs that are valid by themselves."""
    found: dict[str, Any] = {}
    for name, alone in _SALVAGED.items():
        with suppress(ValidationError):
            found[to_snake(name)] = alone.validate_python(body[name]) if name in body else None
    return EdgeDeploymentPlanSpec.model_construct(**dict(_nothing()) | found)


def _bounded(token: str | None) -> str | None:
    """The token, or the beginning and a hash of a long one: it is copied into status, and two must still differ."""
    if token is None or len(token) <= _LONGEST_TOKEN:
        return token
    return f"{token[: _LONGEST_TOKEN // 2]}..{sha256(token.encode()).hexdigest()}"


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
