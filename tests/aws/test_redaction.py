"""No secret is in a log, whatever the form in which somebody writes it there."""

import io
import json
import logging
from collections.abc import Iterator

import kopf
import pytest

from controller.aws.redaction import HIDDEN, RedactingFilter, redact

KEY = "Zp7+vQ0/abcdefghijklmnopqrstuvwxyz012345"
TOKEN = "FwoGZXIvYXdzEBYaDHqa0AP+abc/def=="  # noqa: S105 - nobody's
FORMS = [
    f"<Credentials><SecretAccessKey>{KEY}</SecretAccessKey><SessionToken>{TOKEN}</SessionToken></Credentials>",
    json.dumps({"SecretAccessKey": KEY, "SessionToken": TOKEN}),
    json.dumps(json.dumps({"SecretAccessKey": KEY, "SessionToken": TOKEN})),
    repr({"SecretAccessKey": KEY, "SessionToken": TOKEN}),
    repr({"X-Amz-Security-Token": TOKEN.encode(), "aws_secret_access_key": KEY}),
    repr([("X-Amz-Security-Token", TOKEN), ("aws_secret_access_key", KEY)]),
    f"aws_secret_access_key = {KEY}\naws_session_token = {TOKEN}",
    f"AWS_SECRET_ACCESS_KEY={KEY} AWS_SESSION_TOKEN={TOKEN}",
    f"x-amz-security-token:{TOKEN}\nx-amz-target:SageMaker.X",
    f"https://sts.example.com/?Action=X&X-Amz-Security-Token={TOKEN}&X-Amz-Date=1",
    f"Authorization: Bearer {TOKEN}",
    f"token of type bearer {TOKEN}",
    repr({"Authorization": f"Bearer {TOKEN}"}),
    f"Authorization: AWS4-HMAC-SHA256 Credential=AKIA/1, SignedHeaders=host, Signature={'ab' * 32}",
    repr({"Authorization": f"AWS4-HMAC-SHA256 Credential=AKIA/1, SignedHeaders=host, Signature={'ab' * 32}".encode()}),
    f"Calculated signature: Signature={'ab' * 32}",
    f"secret_key={KEY!r}, session_token={TOKEN!r}",
    f"{{'access_key': 'AKIA', 'secret_key': '{KEY}', 'token': 1}}",
]


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_hidden_in_every_form(text: str) -> None:
    hidden = redact(text)
    assert HIDDEN in hidden
    for secret in (KEY, TOKEN, "ab" * 32):
        assert secret not in hidden


@pytest.mark.parametrize(
    "text",
    [
        "cluster abc, region eu-west-1",
        "RefusedByAWS: the security token included in the request is expired",
        "The security token included in the request is invalid.",
        "ExpiredTokenException: renew the session token",
        "retail/store-cameras: NextToken of the answer is one that was given before",
        "signature expired: 20261126T020000Z",
        "the author of plan-7 is retail",
    ],
)
def test_other_words_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_the_credentials_of_the_environment_are_hidden_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    assert redact(f"got {KEY} and {TOKEN}!") == f"got {HIDDEN} and {HIDDEN}!"


def test_a_placeholder_in_the_environment_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert redact("no secret here") == "no secret here"


@pytest.fixture(params=[kopf.LogFormat.FULL, kopf.LogFormat.JSON], ids=["text", "json"])
def log(request: pytest.FixtureRequest) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger with a handler as the operator has it."""
    from kopf._core.actions.loggers import make_formatter  # noqa: PLC0415 - what kopf.configure uses

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(make_formatter(log_format=request.param))
    handler.addFilter(RedactingFilter())
    logger = logging.getLogger("tests.redaction")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield logger, stream
    logger.removeHandler(handler)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL])
def test_no_record_of_any_level_shows_a_secret(log: tuple[logging.Logger, io.StringIO], level: int) -> None:
    logger, stream = log
    for text in FORMS:
        logger.log(level, text)
        logger.log(level, "Response: %s", text)
        logger.log(level, "Response: %(a)r", {"a": text})
        try:
            raise ValueError(text)  # noqa: TRY301 - for its traceback
        except ValueError:
            logger.log(level, "failed", exc_info=True, stack_info=True)
    shown = stream.getvalue()
    assert shown.count("failed") >= len(FORMS)
    assert "Traceback" in shown
    for secret in (KEY, TOKEN, "ab" * 32):
        assert secret not in shown
