"""Fixtures `cluster` and `namespace`: one real API server for the whole test run, a namespace for each test.

Under pytest-xdist the workers share one cluster. A process apart holds it for as long as any worker holds a
shared lock; the kernel drops a dead worker's lock, so the cluster goes even if all of them are killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from playground.cluster import Cluster, LocalCluster
from playground.programs import BuildFailedError, GoMissingError, find_or_build

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("etcd", "kube-apiserver", "kubectl")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test: some minutes must not count into a test's timeout, nor be silent."""
    if session.config.option.collectonly or not any(
        "cluster" in getattr(item, "fixturenames", ()) for item in session.items
    ):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled(), contextlib.suppress(GoMissingError, BuildFailedError):
        find_or_build(PROGRAMS)  # what cannot be built fails the tests that need it


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    find_or_build(PROGRAMS)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with LocalCluster(audit=True) as own:
            yield own
        return
    # Each worker's folder is inside the run's.
    shared = tmp_path_factory.getbasetemp().parent
    with (shared / "cluster-users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (shared / "cluster-start").open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            folder = shared / "cluster-folder"
            if not folder.exists():
                root = str(Path(__file__).parents[1])
                subprocess.run(
                    [sys.executable, __file__, str(shared)],
                    check=True,
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": root},
                )
        yield Cluster(Path(folder.read_text()))


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    name = f"{words[:40].strip('-')}-{secrets.token_hex(3)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    cluster.client.request("POST", "/api/v1/namespaces", body)
    return name


def hold(shared: Path) -> None:
    """Start a cluster, say where it is, keep it until nobody holds the users' lock."""
    with LocalCluster(audit=True) as cluster, (shared / "cluster-users").open() as users:
        written = shared / "cluster-folder.new"
        written.write_text(str(cluster.folder))
        written.rename(shared / "cluster-folder")
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A worker that needs a cluster only now, after all others have gone, must start another one.
                (shared / "cluster-folder").unlink()
                return
            time.sleep(0.2)


def main(shared: Path) -> int:
    """Fork the holder and return as soon as its cluster is up, or has failed to come up."""
    child = os.fork()
    if child == 0:
        os.setsid()
        log = os.open(shared / "cluster.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        hold(shared)
        return 0
    while not (shared / "cluster-folder").exists():
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            sys.stderr.write((shared / "cluster.log").read_text())
            return 1
        time.sleep(0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
