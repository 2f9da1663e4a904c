"""The conversation of an attempt: what it may ask for, what it is answered, and what it comes to.

Questions change nothing; changes are made to the object, actions to AWS. A call that failed is answered with a `Failure`.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from controller.domain.actions import Action
from controller.domain.desired import Reference
from controller.domain.failures import Failure
from controller.domain.findings import Findings
from controller.domain.observed import Created, ObservedPlan
from controller.domain.outcomes import Outcome
from controller.domain.ownership import Owner
from controller.domain.resource import Resource
from controller.domain.status import Claim, OwedWork


@dataclass(frozen=True)
class Look:
    """What AWS holds under the plan's name. Answer: the plan, None, or a Failure."""

    with_tags: bool


@dataclass(frozen=True)
class TagsOf:
    """The tags of the plan of that ARN. Answer: tags by key, or a Failure."""

    arn: str


@dataclass(frozen=True)
class Exists:
    """Whether that object is there. Answer: a bool."""

    owner: Owner


@dataclass(frozen=True)
class Announce:
    """Write down what is about to be done, unless somebody changed the object. Answer: the object as it is then."""

    outcome: Outcome
    found: Findings
    owed: OwedWork
    claim: Claim


class Ask(Enum):
    """What needs no further words."""

    ACCOUNT = auto()
    """The id of the AWS account that answers: a str, or a Failure."""
    DEFINITION_GOING = auto()
    """Whether the CustomResourceDefinition is being deleted: a bool."""


class Finalizer(Enum):
    """What is done to the object itself. Answer: the object as it is then."""

    HOLD = auto()
    """Put the finalizer on."""
    RELEASE = auto()
    """Take the finalizer off."""


@dataclass(frozen=True)
class Result:
    """What an attempt came to."""

    outcome: Outcome
    found: Findings = field(default_factory=Findings)
    owed: OwedWork = ()
    """What was noticed and is still to be carried out."""
    untouched: bool = False
    """Whether the object certainly has nothing in AWS."""


Question = Look | TagsOf | Reference | Exists | Ask
Change = Announce | Finalizer
Request = Question | Change | Action
Answer = ObservedPlan | Created | Resource | Failure | Mapping[str, str] | bool | str | None
Talk = Generator[Request, Answer, Result]
