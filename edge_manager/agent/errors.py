"""What can go wrong, by what comes next.

AgentError
├── ConfigError        the configuration makes no sense: the program ends with 2
├── FolderError        the state folder is another agent's, or cannot be used: it ends with 1
├── LaterError         others' trouble (the service or S3 is away): waited out, however long it takes
│   └── RefusedError   the service refuses this device's key, or its clock: the same, with the key read again
├── HinderedError      this device's trouble (no space): waited out for `patience`, then FAIL
│   └── S3KeyError     S3 refuses this device's key: the same, with the key read again
└── UnfitError         the deployment cannot succeed here: FAIL
"""

from __future__ import annotations


class AgentError(Exception):
    """Base of all below."""


class ConfigError(AgentError):
    """The configuration makes no sense."""


class FolderError(AgentError):
    """The state folder cannot be used."""


class LaterError(AgentError):
    """Trouble that others have to end."""


class RefusedError(LaterError):
    """The service knows the call and says no."""


class HinderedError(AgentError):
    """Trouble of this device, which somebody may end."""


class S3KeyError(HinderedError):
    """S3 knows the call and says no."""


class UnfitError(AgentError):
    """The deployment cannot succeed; `handle` names the model, if it is one's fault."""

    def __init__(self, reason: str, handle: str | None = None) -> None:
        super().__init__(reason)
        self.handle = handle
