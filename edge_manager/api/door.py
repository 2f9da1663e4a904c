"""Whose call it is: keys of the store, and sessions that one of them assumed.

All that there is to know of a session is sealed in its token, so every replica knows it; it ends with the key that made it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_manager.api import signatures
from edge_manager.api.sts import Credentials
from edge_manager.api.throttle import Throttle
from edge_manager.domain.access import Role
from edge_manager.domain.scope import Scope
from edge_manager.errors import ApiError, access_denied
from edge_manager.store import keys

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from edge_manager.api.signatures import Incoming
    from edge_manager.api.sts import Wanted
    from edge_manager.domain.access import Principal
    from edge_manager.store.keys import Key, Seal

PURPOSE = "session"


@dataclass(frozen=True)
class Caller:
    """Who calls, and the account and region that they speak to."""

    principal: Principal
    scope: Scope


class Limits:
    """Calls a second of one key and its sessions together; a process counts for itself."""

    def __init__(self, rate: float | None, burst: int | None) -> None:
        self._rate, self._burst = rate, burst
        self._throttle, self._lock = Throttle(), threading.Lock()

    def check(self, access_key: str, now: float) -> None:
        """Refuse one call too many."""
        if self._rate is None:
            return
        with self._lock:
            admitted = self._throttle.admit(access_key, self._rate, self._burst, now)
        if not admitted:
            raise ApiError("ThrottlingException")


class Door:
    """Lets in whom the store knows."""

    def __init__(self, seal: Seal, limits: Limits) -> None:
        self._seal, self._limits = seal, limits

    def identify(self, db: Connection, request: Incoming, service: str, now: float) -> Caller:
        """The caller of a request, or the error that AWS's front door answers with."""
        signature = signatures.read(request)
        key = self._key(db, signature.access_key, signature.token, now)
        signatures.verify(request, signature, key.secret, service, now)
        self._limits.check(key.principal.access_key, now)  # of a session: the key that made it
        return Caller(key.principal, Scope(key.principal.account, signature.region))

    def assume(self, principal: Principal, wanted: Wanted) -> Credentials:
        """A session with the rights of the key that asks, in one of the accounts that it may assume roles of."""
        if principal.role is Role.DEVICE or wanted.account not in {principal.account, *principal.assumable}:
            resource = f"arn:aws:iam::{wanted.account}:role/{wanted.role}"
            raise access_denied(principal.arn, "sts:AssumeRole", resource)
        access_key, secret = keys.new_access_key("ASIA"), keys.new_secret()
        fields = {"key": access_key, "secret": secret, "by": principal.access_key, "expires": wanted.expires}
        token = self._seal.token({**fields, "account": wanted.account, "arn": wanted.arn}, PURPOSE)
        return Credentials(access_key, secret, token)

    def _key(self, db: Connection, access_key: str, token: str | None, now: float) -> Key:
        if token is None:
            key = keys.find(db, self._seal, access_key)
            if key is None:
                raise ApiError("UnrecognizedClientException")
            return key
        try:
            fields = self._seal.read_token(token, PURPOSE)
        except keys.SealError:
            raise ApiError("UnrecognizedClientException") from None
        if fields["key"] != access_key:
            raise ApiError("UnrecognizedClientException")
        if fields["expires"] <= now:
            raise ApiError("ExpiredTokenException")
        maker = self._key(db, fields["by"], None, now).principal
        principal = replace(maker, account=fields["account"], arn=fields["arn"], assumable=())
        return keys.Key(principal, fields["secret"])
