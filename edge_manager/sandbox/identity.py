"""Who calls: account and region from the SigV4 header. Signatures are not verified."""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_manager.api.sts import Credentials, Identity, Wanted
from edge_manager.domain.scope import Scope
from edge_manager.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_manager.sandbox.settings import Settings

DEFAULT_ACCOUNT = "123456789012"
# Like AWS's, these access keys carry their account; a bare account number is a key as well.
ACCESS_KEY = re.compile(r"(?:AKIA|ASIA)?(\d{12})[A-Z0-9]*")
CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")


@dataclass(frozen=True)
class Caller:
    """A principal in one account, speaking to one region."""

    scope: Scope
    access_key: str
    arn: str

    @property
    def identity(self) -> Identity:
        """Who that is to STS."""
        return Identity(self.access_key, self.scope.account, self.arn)


def assume(wanted: Wanted) -> Credentials:
    """A session for whoever asks. Its token carries all there is to know, so a restart of the sandbox ends none."""
    access_key = f"ASIA{wanted.account}{secrets.token_hex(2).upper()}"
    token = base64.urlsafe_b64encode(json.dumps(wanted).encode()).decode()
    return Credentials(access_key, secrets.token_urlsafe(30), token)


def session_of(token: str) -> Wanted | None:
    """The session of a token that this sandbox made; None for anybody else's token."""
    try:
        account, role, name, expires = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error, TypeError):
        return None
    return Wanted(str(account), str(role), str(name), float(expires))


def identify(headers: Mapping[str, str], settings: Settings, wall: float) -> Caller:
    """The caller of a request, or the error that AWS's front door answers with."""
    authorization = headers.get("Authorization")
    if not authorization:
        raise ApiError("MissingAuthenticationTokenException")
    credential = CREDENTIAL.search(authorization)
    if credential is None:
        raise ApiError("IncompleteSignatureException", "Authorization header requires 'Credential' parameter.")
    access_key, region, _service = credential.groups()
    session = session_of(headers.get("X-Amz-Security-Token", ""))
    expired = settings.expired_access_keys
    if access_key in expired or "*" in expired or (session is not None and session.expires <= wall):
        raise ApiError("ExpiredTokenException")
    if session is not None:
        return Caller(Scope(session.account, region), access_key, session.arn)
    embedded = ACCESS_KEY.fullmatch(access_key)
    account = settings.accounts.get(access_key) or (embedded.group(1) if embedded else DEFAULT_ACCOUNT)
    return Caller(Scope(account, region), access_key, f"arn:aws:iam::{account}:user/sandbox")
