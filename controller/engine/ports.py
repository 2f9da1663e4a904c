"""What the engine needs from outside, as protocols, and the errors that come through them.

EdgePlanError
├── AwsError           an AWS call failed; carries a Failure with its kind
├── TargetRefused      spec.target names what the operator's configuration does not allow
└── ObjectError        a call to the Kubernetes API failed
    ├── ObjectGone     the object is not there any more, or is another one of that name
    └── ObjectChanged  somebody changed it in between; the next watch event brings the news
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from controller.domain.actions import Action
from controller.domain.desired import Reference
from controller.domain.events import Event
from controller.domain.failures import Failure
from controller.domain.observed import Created, ObservedPlan, PlanSummary
from controller.domain.ownership import Rights
from controller.domain.resource import Key, Resource, Scope
from controller.domain.spec import Target
from controller.domain.status import EdgeDeploymentPlanStatus


class EdgePlanError(Exception):
    """Whatever the ports can raise."""


class AwsError(EdgePlanError):
    """An AWS call failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class TargetRefused(EdgePlanError):  # noqa: N818 - it is a refusal, worded for the user
    """spec.target names an account or region that the operator's configuration does not allow."""


class ObjectError(EdgePlanError):
    """A call to the Kubernetes API failed."""


class ObjectGone(ObjectError):  # noqa: N818 - a state, not a fault
    """The object is not there any more, or is another one of that name."""


class ObjectChanged(ObjectError):  # noqa: N818 - a state, not a fault
    """The object was changed in between; `now` is what it is by now, where that is known."""

    def __init__(self, text: str, now: Resource | None = None) -> None:
        super().__init__(text)
        self.now = now


class EdgePlans(Protocol):
    """The edge deployment plans of one account and region. Every method raises AwsError."""

    @property
    def scope(self) -> Scope:
        """Account and region."""

    async def describe(self, name: str, *, with_tags: bool) -> ObservedPlan | None:
        """The plan of that name with all its stages, or None."""

    async def apply(self, action: Action, still: Callable[[], object]) -> Created | None:
        """Make the call, unless `still` raises when it can be made; what was made where the action is CreatePlan."""

    async def list_plans(self, since: datetime | None = None) -> Mapping[str, PlanSummary]:
        """All plans, or those that were modified after `since`, by name."""

    async def tags(self, arn: str) -> Mapping[str, str]:
        """The tags of a plan."""

    async def status_of(self, reference: Reference) -> str:
        """The status of what a plan is to be made of, empty where it has none."""

    async def account_id(self) -> str:
        """The id of the AWS account that answers here, by sts:GetCallerIdentity."""

    async def count_devices(self, plan: str, stage: str) -> int:
        """How many devices a stage selects."""


class Accounts(Protocol):
    """The accounts and regions that the operator's configuration opens, and to whom."""

    def scope(self, namespace: str, target: Target | None) -> Scope:
        """The account and region for an object of that namespace.

        Raises:
            TargetRefused: the configuration does not allow it.

        """

    def plans(self, scope: Scope) -> EdgePlans:
        """The plans there."""

    def rights(self, namespace: str, scope: Scope) -> Rights:
        """Which plans that are not its own an object of that namespace may observe and adopt there."""


class Objects(Protocol):
    """EdgeDeploymentPlan objects in the cluster. Every method raises ObjectError."""

    async def write_status(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status; the object as it is then.

        Somebody's edit of spec or metadata in between is no obstacle; another status is (ObjectChanged), and so is
        another object of that name (ObjectGone).
        """

    async def claim(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status if the object is just as it is known here, or else raise ObjectChanged."""

    async def hold(self, resource: Resource) -> Resource:
        """Put the finalizer on; the object as it is then. ObjectChanged where somebody else has put it on meanwhile."""

    async def release(self, resource: Resource) -> Resource | None:
        """Take the finalizer off; the object as it is then, or None when it went."""

    async def exists(self, key: Key, uid: str) -> bool:
        """Whether the object of that uid is there, asked at the API server."""

    async def definition_going(self) -> bool:
        """Whether the CustomResourceDefinition itself is being deleted."""

    def publish(self, resource: Resource, event: Event) -> None:
        """Have an event about the object published, beside the work; a failure is logged, not raised."""


Clock = Callable[[], datetime]
Dice = Callable[[], float]
