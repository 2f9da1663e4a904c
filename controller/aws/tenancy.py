"""On whose behalf AWS is called: the namespace of the object that is worked on, which a session of its own may stand for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_namespace: ContextVar[str | None] = ContextVar("namespace", default=None)


@contextmanager
def on_behalf_of(namespace: str) -> Iterator[None]:
    """AWS calls of this task are those of that namespace meanwhile."""
    token = _namespace.set(namespace)
    try:
        yield
    finally:
        _namespace.reset(token)


def acting_namespace() -> str | None:
    """The namespace that the call under way is for; None for what the operator asks for itself, as the sweep does."""
    return _namespace.get()
