"""The files that a local cluster is made of: its folder, keys, kubeconfigs."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any, Final

import yaml

_PREFIX: Final = "edgeplan-cluster-"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder made in it is private and has a random name
_ROOM: Final = 1 << 30
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def make_folder() -> tuple[Path, IO[str]]:
    """Make a private folder, in memory if there is room, and return it with the lock that says it is in use.

    Folders whose lock nobody holds belong to processes that were killed: they go now.
    """
    parent = Path(tempfile.gettempdir())
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
            parent = _MEMORY
    for leftover in parent.glob(f"{_PREFIX}*"):
        _remove_if_unused(leftover)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    lock = (folder / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def _remove_if_unused(folder: Path) -> None:
    # No lock file: another process is between its mkdtemp and its flock, or it is not ours. OSError: in use.
    with contextlib.suppress(OSError), (folder / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


def signing_key() -> str:
    """Return a new private key for service account tokens, in PEM.

    An EC key is a random number below the order of its curve; Go works out the public half when it reads one.
    The bytes around it are RFC 5915's ECPrivateKey with the curve's name, prime256v1.
    """
    number = (secrets.randbelow(_P256_ORDER - 1) + 1).to_bytes(32, "big")
    der = bytes.fromhex("30310201010420") + number + bytes.fromhex("a00a06082a8648ce3d030107")
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n"


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def kubeconfig(url: str, authority: Path, user: str, token: str, namespace: str = "default") -> str:
    """Return a kubeconfig with everything in it, so that the file can be copied elsewhere."""
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "edgeplan",
                "cluster": {
                    "server": url,
                    "certificate-authority-data": base64.b64encode(authority.read_bytes()).decode(),
                },
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "edgeplan", "context": {"cluster": "edgeplan", "user": user, "namespace": namespace}}],
        "current-context": "edgeplan",
    }
    return yaml.safe_dump(config, sort_keys=False)
