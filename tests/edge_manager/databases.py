"""A PostgreSQL server of Debian's, or of whoever put `initdb` in the path, for as long as a test run lasts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[str]:
    """The URL of a server; the test is skipped where there is none to start. A durable one syncs its commits."""
    initdb, server = shutil.which("initdb", path=SEARCHED), shutil.which("postgres", path=SEARCHED)
    if initdb is None or server is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    folder = tempfile.mkdtemp(prefix="pg-")
    try:
        if user is not None:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        subprocess.run(
            [initdb, "-D", data, "-U", "edge", "-A", "trust", "-E", "UTF8", "--no-sync"],
            user=user,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = ["-h", "127.0.0.1", "-p", str(port), "-k", folder, "-c", "max_connections=100"]
        options += [] if durable else ["-c", "fsync=off"]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen([server, "-D", data, *options], user=user, cwd=folder, stdout=log, stderr=log)
        try:
            _await(f"postgresql://edge@127.0.0.1:{port}/postgres", process, Path(folder, "log"))
            yield f"postgresql://edge@127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def create_database(server: str, name: str) -> str:
    """The URL of an empty database."""
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"{server}/{name}"
