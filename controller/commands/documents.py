"""Where a person reads on: the section of a reason in the page about troubleshooting."""

import os

import click

from controller.domain.reasons import Reason
from controller.domain.resource import Resource

SITE_VARIABLE = "EDGEPLAN_DOCS_URL"
_PAGE = "troubleshooting"
_NOBODY_LOOKED = "no-reason-at-all"


def troubleshooting(resource: Resource) -> str | None:
    """The section about what is wrong with the object; None where nothing is, or nobody has written of it.

    On the site that EDGEPLAN_DOCS_URL names, or else by its path in the project.
    """
    reason = _trouble(resource)
    known = Reason.of(reason) if reason is not None else None
    if known is None and resource.status.condition("Ready") is not None:
        return None
    section = known.lower() if known is not None else _NOBODY_LOOKED
    site = os.environ.get(SITE_VARIABLE, "").rstrip("/")
    return f"{site}/{_PAGE}.html#{section}" if site else f"docs/{_PAGE}.md#{section}"


def point(resource: Resource | None) -> None:
    """Say on stderr where to read on, where there is something to read."""
    section = troubleshooting(resource) if resource is not None else None
    if section is not None:
        click.echo(f"see {section}", err=True)


def _trouble(resource: Resource) -> str | None:
    """The reason that tells the most of what keeps the object from being ready."""
    status = resource.status
    stalled, ready = status.condition("Stalled"), status.condition("Ready")
    if resource.edited:
        return None
    if stalled is not None and stalled.status == "True":
        return stalled.reason
    if ready is None or ready.status == "True":
        return None
    # What is under way needs nothing done, unless calls fail, or quota or what the spec names is waited for: Ready's
    # reason tells which.
    missing = ready.reason == Reason.REFERENCE_NOT_FOUND
    held_up = missing or status.retry is not None or status.is_true("ResourceLimitExceeded")
    return ready.reason if held_up or not status.is_true("Reconciling") else None
