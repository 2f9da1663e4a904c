"""`edge-manager keys`: make, list and delete access keys."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge_manager.commands import SECRET
from edge_manager.domain.access import Principal, Role
from edge_manager.errors import ConfigurationError
from edge_manager.store import keys
from edge_manager.store.engine import Store

if TYPE_CHECKING:
    import argparse

NO_SECRET = f"No encryption key: set {SECRET} or --secret-key-file; `edge-manager keys secret` makes one."


def secret_key(parsed: argparse.Namespace) -> str:
    """The encryption key that was given from outside; ConfigurationError if it is none."""
    file = parsed.secret_key_file
    key = os.environ.get(SECRET, "") if file is None else _text_of(file).strip()
    if not key:
        raise ConfigurationError(NO_SECRET)
    try:
        keys.Seal(key)
    except keys.SealError as error:
        raise ConfigurationError(str(error)) from None
    return key


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: {getattr(error, 'strerror', None) or 'not text'}") from None


def create_key(parsed: argparse.Namespace) -> int:
    """Make a key, or one for each device, and print them, this one time."""
    wanted = _wanted(parsed)
    seal, store = keys.Seal(secret_key(parsed)), Store(parsed.store)
    with contextlib.closing(store):
        store.read(lambda db: keys.require(db, seal))
        made = store.write(lambda db: keys.create_all(db, seal, round(time.time(), 3), wanted))
    for key in made:
        line = {"Version": 1, "AccessKeyId": key.principal.access_key, "SecretAccessKey": key.secret}
        if key.principal.device is not None:
            line |= {"Fleet": key.principal.fleet, "Device": key.principal.device}
        print(json.dumps(line))  # noqa: T201
    return 0


def _wanted(parsed: argparse.Namespace) -> list[Principal]:
    role, region, devices = Role(parsed.role), parsed.region, _devices(parsed)
    if (role is Role.DEVICE) != bool(parsed.fleet and devices):
        raise ConfigurationError("--fleet and --device go with --role device, and with no other.")
    if role is Role.DEVICE and region is None:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if region is None:
            raise ConfigurationError("A device's key needs its region: --region or AWS_REGION.")
    named: list[str | None] = [*devices] or [None]
    common = ("", parsed.account, "", role, region, parsed.fleet)
    return [Principal(*common, device, tuple(parsed.assume)) for device in named]


def _devices(parsed: argparse.Namespace) -> list[str]:
    if parsed.devices_file is None:
        return list(parsed.device)
    text = sys.stdin.read() if parsed.devices_file == "-" else _text_of(parsed.devices_file)
    return [*parsed.device, *(line.strip() for line in text.splitlines() if line.strip())]


def list_keys(parsed: argparse.Namespace) -> int:
    """Print the keys."""
    store = Store(parsed.store)
    for principal, created in store.read(keys.every):
        words = [principal.access_key, principal.role, principal.account, principal.region or "*"]
        words.append(f"{principal.fleet}/{principal.device}" if principal.device else "-")
        words.append(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)))
        print("\t".join(words))  # noqa: T201
    store.close()
    return 0


def delete_key(parsed: argparse.Namespace) -> int:
    """Delete a key."""
    store = Store(parsed.store)
    existed = store.write(lambda db: keys.remove(db, parsed.access_key))
    store.close()
    if not existed:
        raise ConfigurationError(f"There is no key {parsed.access_key}.")
    return 0


def print_secret(_parsed: argparse.Namespace) -> int:
    """Print a new encryption key."""
    print(keys.Seal.new_key())  # noqa: T201
    return 0
