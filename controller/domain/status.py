"""What the controller reports: the status of an EdgeDeploymentPlan and its conditions, as kstatus reads them.

Only `summarize.py` makes these; everything else reads.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer

from controller.domain.base import SHARED, Model
from controller.domain.stage import MEANING, StageStatus

ConditionType = Literal["Ready", "Reconciling", "Stalled", "ResourceLimitExceeded"]
Truth = Literal["True", "False", "Unknown"]
OwedWork = tuple[Literal["Edit", "Request"], ...]

_MADE_WITHIN = timedelta(
    seconds=4
)  # AWS's Date header has whole seconds, two are taken off it, and the call took a while


def _rfc3339(moment: datetime) -> str:
    """Kubernetes' `metav1.Time`: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _rfc3339_micro(moment: datetime) -> str:
    """Kubernetes' `metav1.MicroTime`, where order within a second matters."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# One time zone for all: pydantic makes an object of its own for each, as large as the moment itself.
_IN_UTC = AfterValidator(lambda moment: moment.astimezone(UTC))
Time = Annotated[AwareDatetime, _IN_UTC, PlainSerializer(_rfc3339, when_used="json")]
MicroTime = Annotated[AwareDatetime, _IN_UTC, PlainSerializer(_rfc3339_micro, when_used="json")]


class Condition(Model):
    """One condition, as in the Kubernetes API conventions."""

    type: ConditionType
    """What is said: Ready, Reconciling, Stalled or ResourceLimitExceeded."""
    status: Truth
    """True, False or Unknown."""
    reason: Annotated[
        str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"), SHARED
    ]
    """Why, as one CamelCase word."""
    message: Annotated[str, Field(max_length=32768), SHARED]
    """Why, for people; AWS's own words where AWS refused."""
    observed_generation: int
    """metadata.generation that this was said about."""
    last_transition_time: Time
    """When `status` last changed."""


class FailedDevice(Model):
    """A device that failed."""

    device_name: str
    """Name of the device."""
    message: str | None = None
    """AWS's message about the device."""


class StageState(Model):
    """One stage in AWS."""

    stage_name: str
    """Name of the stage."""
    status: StageStatus
    """Status in AWS."""
    devices_succeeded: int = 0
    """Devices of the stage that have the models."""
    devices_pending: int = 0
    """Devices of the stage that wait or are under way."""
    devices_failed: int = 0
    """Devices of the stage that failed."""
    start_time: Time | None = None
    """When AWS started the stage."""
    deployed_time: Time | None = None
    """When the controller first saw the stage DEPLOYED (AWS does not tell); bakeTime counts from here."""
    message: str | None = None
    """AWS's message about the stage."""
    failed_devices: tuple[FailedDevice, ...] | None = None
    """Some of the devices that failed, five at the most."""


class Devices(Model):
    """Sums over the stages."""

    succeeded: int = 0
    """Devices that have the models."""
    pending: int = 0
    """Devices that wait or are under way."""
    failed: int = 0
    """Devices that failed."""


class LastError(Model):
    """The last refusal or failure of an AWS call."""

    code: str
    """AWS's error code, or the kind of failure where no answer came."""
    message: str
    """AWS's own words."""
    request_id: str | None = None
    """AWS's request id, for a support case."""


class Retry(Model):
    """The retry that is due, kept over restarts of the operator."""

    attempts: int
    """Consecutive failures; throttled calls are not counted."""
    next_attempt_time: MicroTime
    """When the next attempt is due."""
    last_error: LastError
    """Why the last attempt failed."""


class Settling(Model):
    """A change that AWS's reads may not show yet. What they show instead of it is lag, not news."""

    until: MicroTime
    """When the reads are believed again."""
    created_after: MicroTime | None = None
    """The plan was made after this moment: an older one is a former plan of its name."""
    modified_after: MicroTime | None = None
    """The plan was changed after this LastModifiedTime: an older one is a former state of it."""
    started: str | None = None
    """The stage that was started."""
    unanswered: MicroTime | None = None
    """Until when a create that AWS did not answer may still be carried out, whatever became of later ones."""
    untagged: bool | None = None
    """Whether the plan that is to be deleted was seen without the ownership tag: it may be another one by now."""
    deleted: bool | None = None
    """Whether the change is the plan's deletion, since which AWS refused or did whatever was asked of it."""


class Claim(Model):
    """A change under way that must not be made twice: whoever else acts on the object waits."""

    by: str
    """The operator's process that makes it."""
    until: MicroTime
    """When the claim lapses."""


class EdgeDeploymentPlanStatus(Model):
    """What AWS holds and what the controller does about it."""

    observed_generation: int = -1
    """metadata.generation that this status describes; -1 before the first reconcile."""
    edge_deployment_plan_arn: str | None = None
    """ARN of the plan in AWS."""
    edge_deployment_plan_name: str | None = None
    """Name of the plan in AWS."""
    conditions: tuple[Condition, ...] = ()
    """Ready, Reconciling, Stalled and ResourceLimitExceeded; Reconciling and Stalled only while they are True."""
    stages: Annotated[tuple[StageState, ...], SHARED] | None = None
    """The stages in AWS, in AWS's order."""
    devices: Annotated[Devices | None, SHARED] = None
    """Sums of the stages' device counts."""
    devices_deployed: str | None = None
    """Devices that have the models, of all, as in 17/20."""
    account: Annotated[str | None, SHARED] = None
    """Number of the AWS account that holds the plan."""
    region: Annotated[str | None, SHARED] = None
    """AWS region that holds the plan."""
    stages_deployed: str | None = None
    """Stages that are DEPLOYED of all stages, such as 2/5."""
    retry: Retry | None = None
    """The retry that is due, if any."""
    pending_changes: tuple[str, ...] | None = None
    """Under policy.management Observe: the AWS calls that Manage would make, in order."""
    last_handled_reconcile_at: str | None = None
    """Value of the annotation edgeplan.dev/reconcile-requested-at that was last acted upon."""
    last_modified_time: MicroTime | None = None
    """AWS's LastModifiedTime of the state that this status describes; tells a later drift sweep what changed."""
    creation_time: MicroTime | None = None
    """AWS's CreationTime of the plan; another one means that somebody deleted the plan and made another."""
    replacing_since: Time | None = None
    """When the controller deleted the plan to create it again, while it is not there yet."""
    applied_tag_keys: Annotated[tuple[str, ...] | None, SHARED] = None
    """Tag keys that the controller has put on the plan; of these alone it removes what the spec no longer has."""
    owed: OwedWork | None = None
    """What was noticed and has not been carried out yet: an edit of the spec, a request by annotation."""
    settling: Settling | None = None
    """A change that AWS's reads may not show yet."""
    claim: Claim | None = None
    """A change under way that must not be made twice."""

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of that type, if it is in the list."""
        return next((condition for condition in self.conditions if condition.type == kind), None)

    @property
    def has_plan(self) -> bool:
        """Whether the object has an AWS plan, as far as is known."""
        return self.edge_deployment_plan_arn is not None

    @property
    def has_the_name(self) -> bool:
        """Whether the name of the plan is the object's: while a plan is replaced it is no other's."""
        return self.has_plan or self.replacing_since is not None

    def knows_by(self, created: datetime | None) -> bool:
        """Whether a plan of that ARN and CreationTime is the one that the object had: none else was seen or made then."""
        if created is None or self.creation_time is not None:
            return created is not None and created == self.creation_time
        made_after = self.settling.created_after if self.settling is not None else None
        return made_after is not None and timedelta(0) < created - made_after <= _MADE_WITHIN

    def is_true(self, kind: ConditionType) -> bool:
        """Whether that condition is there and True."""
        condition = self.condition(kind)
        return condition is not None and condition.status == "True"

    @property
    def moving(self) -> bool:
        """Whether a stage is started or stopped: AWS makes something else of it by itself, sooner or later."""
        return any(MEANING[stage.status].ends_as in {"DEPLOYED", "STOPPED"} for stage in self.stages or ())

    @property
    def ends_with(self) -> int | None:
        """How many devices have succeeded, of all stages, when what is under way has ended well; None where nothing is."""
        stages = self.stages or ()
        under_way = sum(stage.devices_pending for stage in stages if MEANING[stage.status].ends_as == "DEPLOYED")
        return sum(stage.devices_succeeded for stage in stages) + under_way if under_way else None

    @property
    def unfinished(self) -> bool:
        """Whether a stage is not DEPLOYED, as far as is known: it may be under way by now."""
        return any(stage.status != "DEPLOYED" for stage in self.stages or ())

    def deployed_since(self, name: str) -> datetime | None:
        """When the stage of that name was first seen DEPLOYED, if that is what it is in this status."""
        stage = self.stage(name)
        return stage.deployed_time if stage is not None and stage.status == "DEPLOYED" else None

    def stage(self, name: str) -> StageState | None:
        """The stage of that name, if AWS had it."""
        return next((stage for stage in self.stages or () if stage.stage_name == name), None)
