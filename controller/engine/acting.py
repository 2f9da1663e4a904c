"""For whom a task works: what is logged and called on the way tells of that object."""

from contextvars import ContextVar
from typing import NamedTuple

from controller.domain.resource import Resource, Scope


class Acting(NamedTuple):
    """An object that is worked on, and the account and region of its plan where that is known."""

    resource: Resource
    scope: Scope | None


ACTING: ContextVar[Acting | None] = ContextVar("acting", default=None)
