"""Secrets taken out of text: of AWS's messages before they reach a status, and of every record that is logged."""

import logging
import os
import re
from collections.abc import Iterator

HIDDEN = "[redacted]"

_NAMES = (
    r"secret[-_ ]?access[-_ ]?key|session[-_ ]?token|security[-_]token|secret[-_]key|client[-_]secret|"
    r"refresh[-_]token|access[-_]token|web[-_]?identity[-_]?token"
)
# A name with what stands between it and its value in headers, JSON, reprs, YAML, query strings and XML.
_NAMED = re.compile(
    rf"""(\b(?:[a-z0-9]+[-_])*(?:{_NAMES})\\*["']?\s*(?:[:=]|,\s*(?=b?["'])|>)\s*b?\\*["']?)([^\s"'\\<>,;&}}\])]+)""",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"""(\bauthorization\\*["']?\s*[:=]\s*b?\\*["']?)([^"'\\\r\n]+)""", re.IGNORECASE)
_BEARER = re.compile(r"(\bbearer\s+)([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
_SIGNATURE = re.compile(r"(\bsignature\s*[=:]\s*)([0-9a-f]{32,})", re.IGNORECASE)
_SHORTEST = 8  # a shorter value is a placeholder, and may be any word of a sentence
_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)


def redact(text: str) -> str:
    """The text without secret keys, tokens, signatures and the credentials of the environment."""
    for secret in _of_environment():
        text = text.replace(secret, HIDDEN)
    for pattern in (_AUTHORIZATION, _BEARER, _SIGNATURE, _NAMED):
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


def _of_environment() -> Iterator[str]:
    for name in _VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= _SHORTEST:
            yield value


class RedactingFilter(logging.Filter):
    """Takes the secrets out of every record of the handlers that it is added to, tracebacks included."""

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place; it always passes."""
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            # As text from here on: whoever formats the record would else take the traceback from the exception itself.
            record.exc_text = self._formatter.formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True
