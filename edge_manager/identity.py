"""Who calls: account and region from the SigV4 header. Signatures are not verified."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_manager.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_manager.settings import Settings

DEFAULT_ACCOUNT = "123456789012"
# Like AWS's, these access keys carry their account; a bare account number is a key as well.
ACCESS_KEY = re.compile(r"(?:AKIA|ASIA)?(\d{12})[A-Z0-9]*")
CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")


@dataclass(frozen=True)
class Caller:
    """A principal in one account, speaking to one region."""

    account: str
    region: str
    access_key: str
    arn: str

    @property
    def partition(self) -> str:
        """The partition of the region, the second word of every ARN."""
        prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
        return next((name for prefix, name in prefixes.items() if self.region.startswith(prefix)), "aws")


@dataclass(frozen=True)
class Session:
    """An assumed role; its token carries all there is to know, so a restart of the sandbox ends no session."""

    account: str
    role: str
    name: str
    expires: float

    @property
    def token(self) -> str:
        """What the client sends back as X-Amz-Security-Token."""
        fields = [self.account, self.role, self.name, self.expires]
        return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()

    @property
    def arn(self) -> str:
        """The ARN that AWS gives the session."""
        return f"arn:aws:sts::{self.account}:assumed-role/{self.role.rsplit('/', 1)[-1]}/{self.name}"

    @classmethod
    def parse(cls, token: str) -> Session | None:
        """The session of a token that this sandbox made; None for anybody else's token."""
        try:
            account, role, name, expires = json.loads(base64.urlsafe_b64decode(token))
        except (ValueError, binascii.Error, TypeError):
            return None
        return cls(str(account), str(role), str(name), float(expires))


def identify(headers: Mapping[str, str], settings: Settings, wall: float) -> Caller:
    """The caller of a request, or the error that AWS's front door answers with."""
    authorization = headers.get("Authorization")
    if not authorization:
        raise ApiError("MissingAuthenticationTokenException")
    credential = CREDENTIAL.search(authorization)
    if credential is None:
        raise ApiError("IncompleteSignatureException", "Authorization header requires 'Credential' parameter.")
    access_key, region, _service = credential.groups()
    session = Session.parse(headers.get("X-Amz-Security-Token", ""))
    expired = settings.expired_access_keys
    if access_key in expired or "*" in expired or (session is not None and session.expires <= wall):
        raise ApiError("ExpiredTokenException")
    if session is not None:
        return Caller(session.account, region, access_key, session.arn)
    embedded = ACCESS_KEY.fullmatch(access_key)
    account = settings.accounts.get(access_key) or (embedded.group(1) if embedded else DEFAULT_ACCOUNT)
    return Caller(account, region, access_key, f"arn:aws:iam::{account}:user/sandbox")
