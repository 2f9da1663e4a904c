"""The audit log: a line of JSON for each call that changes AWS, with who asked for it and what became of it."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime
from logging.handlers import WatchedFileHandler
from typing import Any

from controller.aws.redaction import redact
from controller.aws.sagemaker import Change
from controller.engine.acting import ACTING, Acting
from controller.operator.clock import utc_now

logger = logging.getLogger(__name__)

STDOUT = "-"


class AuditLog:
    """Writes to stdout or to the end of a file, which may be moved away meanwhile: another one is begun then."""

    def __init__(self, target: str, clock: Callable[[], datetime] = utc_now) -> None:
        """Open the file.

        Raises:
            ValueError: it cannot be written.

        """
        self._clock = clock
        self._handler: logging.StreamHandler[Any]
        try:
            self._handler = logging.StreamHandler(sys.stdout) if target == STDOUT else _File(target, encoding="utf-8")
        except OSError as error:
            raise ValueError(f"--audit-log {target}: {error.strerror or error}") from error

    def changed(self, change: Change) -> None:
        """Write down a call that was made, or that failed."""
        failure, acting = change.failure, ACTING.get()
        entry = {
            "time": self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "object": _who(acting) if acting is not None else None,
            "operation": change.operation,
            "account": change.scope.account,
            "region": change.scope.region,
            "parameters": _redacted(change.parameters),
            "outcome": "done" if failure is None else "refused" if failure.harmless else "unknown",
            "requestId": change.request_id,
        }
        if failure is not None:
            # A call of which nobody knows what became may have been carried out.
            entry |= {"failedOperation": failure.operation, "errorCode": failure.code, "errorMessage": failure.message}
        text = json.dumps(entry, ensure_ascii=False)
        self._handler.handle(logging.LogRecord("audit", logging.INFO, "", 0, text, None, None))

    def close(self) -> None:
        """Let the file go."""
        self._handler.close()


class _File(WatchedFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        logger.error("the audit log cannot be written: %s; it should have said: %s", sys.exc_info()[1], record.msg)


def _who(acting: Acting) -> dict[str, Any]:
    resource = acting.resource
    return {
        "namespace": resource.key.namespace,
        "name": resource.key.name,
        "uid": resource.uid,
        "generation": resource.generation,
        "deleting": resource.deleting,
        "fieldManagers": list(resource.managers),
    }


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _redacted(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_redacted(part) for part in value]
    return redact(value) if isinstance(value, str) else value
