"""Access keys. Secrets are encrypted with a key that is given from outside, so a dump of the store signs nothing."""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import bindparam, delete, insert, select

from edge_manager.domain.access import Principal, Role
from edge_manager.errors import ConfigurationError
from edge_manager.store.tables import KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from edge_manager.store.queries import AnyRow

KEY_BYTES, NONCE_BYTES = 32, 12
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


# Every call asks for a key: built once.
FIND = select(KEYS).where(KEYS.c.access_key == bindparam("wanted"))


class SealError(Exception):
    """The encryption key is no key, or not the one that something was sealed with."""


class Seal:
    """AES-GCM under one key. What was sealed for one purpose opens for no other."""

    def __init__(self, key: str) -> None:
        """`key` is 32 bytes in base64, as `Seal.new_key` makes them."""
        try:
            raw = base64.b64decode(key.strip(), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != KEY_BYTES:
            raise SealError("The encryption key must be 32 bytes in base64: `edge-manager keys secret` makes one.")
        self._cipher = AESGCM(raw)

    @staticmethod
    def new_key() -> str:
        """A key that nobody has yet."""
        return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """The text, encrypted and authenticated."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """The text again."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError):
            raise SealError("Sealed with another key, or not by us.") from None

    def token(self, fields: dict[str, Any], purpose: str) -> str:
        """A sealed object as text."""
        return base64.urlsafe_b64encode(self.seal(json.dumps(fields).encode(), purpose)).decode()

    def read_token(self, token: str, purpose: str) -> dict[str, Any]:
        """The object of a token."""
        try:
            sealed = base64.urlsafe_b64decode(token)
        except (binascii.Error, ValueError):
            raise SealError("No token of ours.") from None
        fields: dict[str, Any] = json.loads(self.open(sealed, purpose))
        return fields


class Key(NamedTuple):
    """A key with its secret; nothing prints it."""

    principal: Principal
    secret: str

    def __repr__(self) -> str:
        return f"Key({self.principal.access_key})"


def create(connection: Connection, seal: Seal, now: float, wanted: Principal) -> Key:
    """A key like `wanted`, with an identifier and a secret of its own: the only time that the secret is shown."""
    return create_all(connection, seal, now, [wanted])[0]


def create_all(connection: Connection, seal: Seal, now: float, wanted: Sequence[Principal]) -> list[Key]:
    """A key for each, in one statement."""
    made = [(each, new_access_key("AKIA"), new_secret()) for each in wanted]
    rows = [
        {
            "access_key": access_key,
            "account": each.account,
            "region": each.region,
            "role": each.role,
            "fleet": each.fleet,
            "device": each.device,
            "assumable": list(each.assumable),
            "secret": seal.seal(secret.encode(), access_key),
            "created": now,
        }
        for each, access_key, secret in made
    ]
    connection.execute(insert(KEYS), rows)
    arns = [_arn(each.account, each.role, each.fleet, each.device) for each in wanted]
    return [
        Key(replace(each, access_key=access_key, arn=arn), secret)
        for (each, access_key, secret), arn in zip(made, arns, strict=True)
    ]


def find(connection: Connection, seal: Seal, access_key: str) -> Key | None:
    """A key by its identifier; one that was sealed with another encryption key is none."""
    row = connection.execute(FIND, {"wanted": access_key}).one_or_none()
    return None if row is None else _opened(row, seal)


def _opened(row: AnyRow, seal: Seal) -> Key | None:
    try:
        return Key(principal_of(row), seal.open(row.secret, row.access_key).decode())
    except SealError:
        return None


def require(connection: Connection, seal: Seal) -> None:
    """Find out whether the store's keys were sealed with this encryption key.

    Raises:
        ConfigurationError: they were not: none of them would be known, and new ones would not be to the other processes.

    """
    row = connection.execute(select(KEYS).order_by(KEYS.c.created.desc()).limit(1)).one_or_none()
    if row is not None and _opened(row, seal) is None:
        raise ConfigurationError("the encryption key is not the one that this store's keys were sealed with")


def every(connection: Connection) -> list[tuple[Principal, float]]:
    """All keys and when they were made; no secrets."""
    rows = connection.execute(select(KEYS).order_by(KEYS.c.created, KEYS.c.access_key))
    return [(principal_of(row), row.created) for row in rows]


def remove(connection: Connection, access_key: str) -> bool:
    """Let a key be one no more; whether it was one."""
    return bool(connection.execute(delete(KEYS).where(KEYS.c.access_key == access_key)).rowcount)


def principal_of(row: AnyRow) -> Principal:
    """Whom a key speaks for."""
    role = Role(row.role)
    arn = _arn(row.account, role, row.fleet, row.device)
    return Principal(
        row.access_key, row.account, arn, role, row.region, row.fleet, row.device, tuple(row.assumable or ())
    )


def _arn(account: str, role: Role, fleet: str | None, device: str | None) -> str:
    user = role.value if role is not Role.DEVICE else f"device/{fleet}/{device}"
    return f"arn:aws:iam::{account}:user/{user}"


def new_access_key(prefix: str) -> str:
    """An identifier in the form of AWS's."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(16))


def new_secret() -> str:
    """A secret of 40 characters, as AWS's are."""
    return base64.b64encode(secrets.token_bytes(30)).decode()
