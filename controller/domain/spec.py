"""What a user writes: the spec of an EdgeDeploymentPlan, every bound of it, and the rules between fields.

Bounds and patterns are those of botocore's model of `CreateEdgeDeploymentPlan`; `tests/unit/test_aws_model.py` compares
them. The CRD is generated from these classes (`controller/schema/crd.py`). Nothing here has a default on the wire: what the
user did not write stays unwritten, so that a GitOps tool sees no difference.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from controller.domain.api import OWNED_TAG_PREFIX
from controller.domain.base import SHARED, Model, Rule, RuledModel

ENTITY_NAME_PATTERN = r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$"
TAG_PATTERN = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"
DURATION_PATTERN = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
LONGEST_DURATION = timedelta(hours=8760)
MAX_TAGS = 50

EntityName = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=63, pattern=ENTITY_NAME_PATTERN)]
Duration = Annotated[str, StringConstraints(strict=True, min_length=2, max_length=16, pattern=DURATION_PATTERN)]
Percent = Annotated[int, Field(strict=True, ge=0, le=100)]

DeviceSubsetType = Literal["PERCENTAGE", "SELECTION", "NAMECONTAINS"]
FailureHandlingPolicy = Literal["ROLLBACK_ON_FAILURE", "DO_NOTHING"]


def duration(text: str) -> timedelta:
    """The length of a duration such as `90s`, `10m` or `1h30m`.

    Raises:
        ValueError: `text` is not of that form, or longer than a year.

    """
    match = re.fullmatch(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?", text)
    if match is None or not text:
        raise ValueError(f"duration {text[:32]!r} is not of the form 1h30m, 10m or 90s")
    if not _FEW_DIGITS.fullmatch(text):
        raise ValueError(f"duration {text[:32]!r} is over 8760h, a year")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    length = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if length > LONGEST_DURATION:
        raise ValueError(f"duration {text!r} is over 8760h, a year")
    return length


# As many digits as a year has in each unit, so that no sum of them is too large for whoever adds them up.
_FEW_DIGITS = re.compile(r"([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?")


def _within_a_year(field: str, text_of: Callable[["Rollout"], str | None]) -> Rule:
    def holds(rollout: "Rollout") -> bool:
        text = text_of(rollout)
        try:
            return text is None or duration(text) <= LONGEST_DURATION
        except ValueError:
            return False

    # What is not of the form of a duration at all is refused by its pattern.
    value, form, few = f"self.{field}", DURATION_PATTERN, f"^{_FEW_DIGITS.pattern}$"
    return Rule(
        field=f".{field}",
        cel=f"!has({value}) || {value} == '' || !{value}.matches('{form}') || "
        f"({value}.matches('{few}') && duration({value}) <= duration('8760h'))",
        message=f"{field} must be at most 8760h, a year",
        holds=holds,
    )


class ModelConfig(Model):
    """One model to deploy: a packaging job and the handle by which applications on the device ask for it."""

    model_handle: EntityName
    """Name by which applications on the devices refer to this model. 1 to 63 letters, digits and inner hyphens."""
    edge_packaging_job_name: EntityName
    """Edge packaging job whose output is deployed. 1 to 63 letters, digits and inner hyphens."""


def _subset_rule(subset: DeviceSubsetType, wanted: str, cel_wanted: str, others: tuple[str, str]) -> Rule:
    def holds(config: "DeviceSelectionConfig") -> bool:
        given = config.wire().keys() - {"deviceSubsetType"}
        return config.device_subset_type != subset or given == {wanted}

    return Rule(
        field="",
        cel=f"self.deviceSubsetType != '{subset}' || ({cel_wanted} && "
        + " && ".join(f"!has(self.{other})" for other in others)
        + ")",
        message=f"deviceSubsetType {subset} needs {wanted}, and neither {others[0]} nor {others[1]}",
        holds=holds,
    )


class DeviceSelectionConfig(RuledModel):
    """Which devices of the fleet a stage deploys to: exactly one of percentage, deviceNames, deviceNameContains."""

    device_subset_type: DeviceSubsetType
    """How devices are chosen: PERCENTAGE of the fleet, SELECTION by deviceNames, or NAMECONTAINS."""
    percentage: Percent | None = None
    """Share of the fleet's devices, in percent, 0 to 100. Only with PERCENTAGE."""
    device_names: tuple[EntityName, ...] | None = None
    """Names of the devices. Only with SELECTION."""
    device_name_contains: EntityName | None = None
    """Devices whose name contains this text. 1 to 63 letters, digits and inner hyphens. Only with NAMECONTAINS."""

    rules: ClassVar = (
        _subset_rule("PERCENTAGE", "percentage", "has(self.percentage)", ("deviceNames", "deviceNameContains")),
        _subset_rule("SELECTION", "deviceNames", "has(self.deviceNames)", ("percentage", "deviceNameContains")),
        _subset_rule(
            "NAMECONTAINS", "deviceNameContains", "has(self.deviceNameContains)", ("percentage", "deviceNames")
        ),
    )


class DeploymentConfig(Model):
    """How a stage treats devices that fail."""

    failure_handling_policy: FailureHandlingPolicy
    """ROLLBACK_ON_FAILURE rolls a failed device back to its previous model; DO_NOTHING leaves it as it is."""


class Stage(Model):
    """One step of the deployment: a set of devices that get the models together."""

    stage_name: EntityName
    """Name of the stage, unique in the plan. 1 to 63 letters, digits and inner hyphens."""
    device_selection_config: DeviceSelectionConfig
    """Which devices of the fleet this stage deploys to."""
    deployment_config: DeploymentConfig | None = None
    """How the stage treats devices that fail. Absent: AWS's default."""


class Tag(RuledModel):
    """One tag of the AWS plan."""

    key: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128, pattern=TAG_PATTERN)]
    """Key of the tag, 1 to 128 characters, not starting with `aws:` or `edgeplan.dev/`."""
    value: Annotated[str, StringConstraints(strict=True, min_length=0, max_length=256, pattern=TAG_PATTERN)]
    """Value of the tag, 0 to 256 characters."""

    rules: ClassVar = (
        Rule(
            field=".key",
            cel="!self.key.startsWith('aws:')",
            message="key must not start with aws: (AWS reserves it)",
            holds=lambda tag: not tag.key.startswith("aws:"),
        ),
        Rule(
            field=".key",
            cel=f"!self.key.startsWith('{OWNED_TAG_PREFIX}')",
            message=f"key must not start with {OWNED_TAG_PREFIX} (the controller keeps its ownership there)",
            holds=lambda tag: not tag.key.startswith(OWNED_TAG_PREFIX),
        ),
    )


class Policy(Model):
    """What the controller may do to AWS on behalf of this object."""

    management: Literal["Manage", "Observe"] | None = None
    """Manage (default) makes AWS as the spec says; Observe writes nothing to AWS and lists in
    status.pendingChanges the calls that it would make."""
    deletion: Literal["Delete", "Retain"] | None = None
    """What becomes of the AWS plan when this object is deleted: Delete (default) or Retain."""
    adoption: Literal["Never", "Adopt"] | None = None
    """A plan of this name that exists in AWS and is not this object's: Never (default) refuses, Adopt takes it over
    by tagging it."""
    replacement: Literal["Never", "Recreate"] | None = None
    """AWS has no update call: on a changed modelConfigs or deviceFleetName, Never (default) refuses, Recreate deletes
    the plan and creates it again."""


class Rollout(RuledModel):
    """Starting the stages, one after the other, from git. Absent: the controller starts no stage."""

    strategy: Literal["Sequential"]
    """Sequential starts the stages in the order of spec.stages, each after the one before it is DEPLOYED."""
    through_stage: EntityName | None = None
    """The last stage that may start; moving it is a promotion. Absent: all stages may start."""
    bake_time: Duration | None = None
    """How long a stage stays DEPLOYED before the next one starts, such as 30m, at most 8760h (a year). Absent:
    no pause."""
    progress_deadline: Duration | None = None
    """How long a stage may take from its start until DEPLOYED, such as 2h, at most 8760h (a year); a stage over it
    is stopped. Absent: no limit."""
    max_failed_percent: Percent | None = None
    """Devices of a stage that may fail, in percent of those that finished, 0 to 100; a stage over it is stopped.
    Absent: no bound."""
    min_devices: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = None
    """How many devices of a stage must have finished before maxFailedPercent is judged, 1 to 1000000 (default 1)."""

    @property
    def bounded(self) -> bool:
        """Whether a stage may cross a bound while it runs."""
        return self.max_failed_percent is not None or self.progress_deadline is not None

    rules: ClassVar = (
        Rule(
            field=".minDevices",
            cel="!has(self.minDevices) || has(self.maxFailedPercent)",
            message="minDevices needs maxFailedPercent, which it qualifies",
            holds=lambda rollout: rollout.min_devices is None or rollout.max_failed_percent is not None,
        ),
        _within_a_year("bakeTime", lambda rollout: rollout.bake_time),
        _within_a_year("progressDeadline", lambda rollout: rollout.progress_deadline),
    )


class Target(Model):
    """Where the plan lives in AWS. Absent: the controller's own account and region."""

    account: (
        Annotated[
            str, StringConstraints(strict=True, min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
        ]
        | None
    ) = None
    """Name of an account in the operator's configuration, which maps it to a role, regions and allowed namespaces."""
    region: (
        Annotated[
            str, StringConstraints(strict=True, min_length=1, max_length=32, pattern=r"^[a-z]{2,4}(-[a-z]+)+-[0-9]+$")
        ]
        | None
    ) = None
    """AWS region, such as eu-west-1."""


def _unique_stage_names(spec: "EdgeDeploymentPlanSpec") -> bool:
    names = [stage.stage_name for stage in spec.stages or ()]
    return len(set(names)) == len(names)


def _unique_tag_keys(spec: "EdgeDeploymentPlanSpec") -> bool:
    keys = [tag.key for tag in spec.tags or ()]
    return len(set(keys)) == len(keys)


def _room_for_ownership(spec: "EdgeDeploymentPlanSpec") -> bool:
    return len(spec.tags or ()) < MAX_TAGS or not spec.manages


class EdgeDeploymentPlanSpec(RuledModel):
    """The request of CreateEdgeDeploymentPlan in lowerCamelCase, and how the controller is to treat the plan."""

    edge_deployment_plan_name: EntityName | None = None
    """Name of the plan in AWS (default: metadata.name). Cannot be changed later. 1 to 63 letters, digits and inner
    hyphens."""
    model_configs: Annotated[tuple[ModelConfig, ...], SHARED]
    """Models to deploy; AWS's API sets no least number. AWS cannot change them later: see policy.replacement."""
    device_fleet_name: EntityName
    """Device fleet to deploy to. AWS cannot change it later: see policy.replacement. 1 to 63 letters, digits and
    inner hyphens."""
    stages: Annotated[tuple[Stage, ...], Field(max_length=10), SHARED] | None = None
    """Stages in the order of deployment, at most 10, with unique names."""
    tags: Annotated[tuple[Tag, ...], Field(max_length=MAX_TAGS)] | None = None
    """Tags of the AWS plan, at most 50 with unique keys (49 under policy.management Manage: the controller's
    ownership tag is the fiftieth). Tags that others put on the plan stay."""
    suspend: Annotated[bool, Field(strict=True)] | None = None
    """true: reconcile nothing until it is false again (a deletion is still honoured)."""
    policy: Policy | None = None
    """What the controller may do to AWS on behalf of this object."""
    rollout: Rollout | None = None
    """Starting the stages one after the other. Absent: the controller starts no stage."""
    target: Target | None = None
    """Where the plan lives in AWS. Absent: the controller's own account and region. Cannot be changed later."""

    rules: ClassVar = (
        Rule(
            field=".stages",
            cel="!has(self.stages) || self.stages.all(a, self.stages.exists_one(b, a.stageName == b.stageName))",
            message="stageName must be unique among the stages",
            holds=_unique_stage_names,
        ),
        Rule(
            field=".tags",
            # listType=map would say it too, but the message of the rule names what is wrong.
            cel="!has(self.tags) || self.tags.all(a, self.tags.exists_one(b, a.key == b.key))",
            message="key must be unique among the tags",
            holds=_unique_tag_keys,
        ),
        Rule(
            field=".tags",
            cel=f"!has(self.tags) || size(self.tags) < {MAX_TAGS} || "
            "(has(self.policy) && has(self.policy.management) && self.policy.management == 'Observe')",
            message="at most 49 tags under policy.management Manage: AWS allows 50 and one is the ownership tag",
            holds=_room_for_ownership,
        ),
        Rule(
            field=".rollout",
            cel="!has(self.rollout) || (has(self.stages) && size(self.stages) > 0)",
            message="rollout needs at least one stage in stages",
            holds=lambda spec: spec.rollout is None or bool(spec.stages),
        ),
        Rule(
            field=".rollout.throughStage",
            cel="!has(self.rollout) || !has(self.rollout.throughStage) || !has(self.stages) || "
            "self.stages.exists(s, s.stageName == self.rollout.throughStage)",
            message="throughStage must be the stageName of one of the stages",
            holds=lambda spec: (
                spec.rollout is None
                or spec.rollout.through_stage is None
                or spec.stages is None
                or spec.rollout.through_stage in {stage.stage_name for stage in spec.stages}
            ),
            values="""'"' + self.rollout.throughStage + '" is none of them'""",  # to list them costs more than CEL may
        ),
    )

    @property
    def manages(self) -> bool:
        """Whether the controller may write to AWS for this object."""
        return self.policy is None or self.policy.management != "Observe"

    @property
    def deletes(self) -> bool:
        """Whether the AWS plan goes with the object."""
        return self.manages and (self.policy is None or self.policy.deletion != "Retain")

    @property
    def adopts(self) -> bool:
        """Whether a plan of this name that is not ours may be taken over."""
        return self.policy is not None and self.policy.adoption == "Adopt"

    @property
    def recreates(self) -> bool:
        """Whether a changed immutable field may delete the plan and create it again."""
        return self.policy is not None and self.policy.replacement == "Recreate"
