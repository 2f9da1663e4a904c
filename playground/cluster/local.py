"""Starts, watches and ends the processes of a local cluster."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import socket
import subprocess
import time
from typing import IO, TYPE_CHECKING, Any, Final, Self

from playground.cluster import files
from playground.cluster.access import ADMIN, Cluster, ClusterError
from playground.cluster.audit import POLICY
from playground.programs import find_or_build, progress_for
from playground.programs.process import spawn, stop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from playground.programs import Progress

_START_DEADLINE: Final = 90.0
_ATTEMPTS: Final = 3


class LocalCluster(Cluster):
    """A running API server, from `with LocalCluster() as cluster:` to the end of the block.

    Its processes are killed by the kernel if the thread that started them dies, even by SIGKILL.
    """

    def __init__(
        self,
        *,
        controller_manager: bool = False,
        audit: bool = False,
        progress: Progress | None = None,
        without: Sequence[str] = (),
    ) -> None:
        """A cluster that is not started yet; `without` names feature gates of the API server that are off."""
        self._controller_manager = controller_manager
        self._audit = audit
        self._progress = progress
        self._without = without
        self._programs: Mapping[str, Path] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock: IO[str] | None = None
        self._token = secrets.token_urlsafe(32)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return when the API server is ready; on any failure nothing is left behind."""
        progress = self._progress or progress_for()
        names = ["etcd", "kube-apiserver", *(["kube-controller-manager"] if self._controller_manager else [])]
        self._programs = find_or_build(names, progress=progress)
        self.folder, self._lock = files.make_folder()
        try:
            with progress:
                self._start_etcd()
                self._start_api_server(progress)
                if self._controller_manager:
                    self._spawn("kube-controller-manager", *self._controller_flags())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all processes at once (their data goes anyway) and remove every file."""
        for process in reversed(self._processes.values()):
            stop(process)
        self._processes.clear()
        if self._lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._lock.close()
            self._lock = None

    @contextlib.contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Serve at another address for the block: who was given the old one finds nobody, `self` works as before.

        Both changes restart the API server, which keeps all objects and forgets all watches.
        """
        home = self.url
        self.restart_api_server(_free_port())
        try:
            yield
        finally:
            self.restart_api_server(_port_of(home))

    def restart_api_server(self, port: int | None = None) -> None:
        """Kill the API server and start it again on the same data, at the same address or at another port."""
        stop(self._processes.pop("kube-apiserver"))
        with self._progress or progress_for() as progress:
            if not self._serve(port or _port_of(self.url), progress):
                raise ClusterError("somebody else took the API server's port")

    def _start_etcd(self) -> None:
        # Sockets in our private folder: no port to lose in a race, and nobody else on the machine gets in.
        self._spawn(
            "etcd",
            "--data-dir=etcd",
            "--unsafe-no-fsync",  # the data is thrown away at the end
            "--listen-client-urls=unix://etcd:1",
            "--advertise-client-urls=unix://etcd:1",
            "--listen-peer-urls=unix://etcd-peer:1",
            "--initial-advertise-peer-urls=unix://etcd-peer:1",
            "--initial-cluster=default=unix://etcd-peer:1",
            "--log-level=warn",
        )

    def _start_api_server(self, progress: Progress) -> None:
        files.write_private(self.folder / "service-accounts.key", files.signing_key())
        files.write_private(self.folder / "tokens.csv", f'{self._token},{ADMIN},{ADMIN},"system:masters"\n')
        if self._audit:
            (self.folder / "audit-policy.json").write_text(json.dumps(POLICY))
        for _attempt in range(_ATTEMPTS):
            if self._serve(_free_port(), progress):
                return
        raise ClusterError("kube-apiserver found no free port")

    def _serve(self, port: int, progress: Progress) -> bool:
        """Start the API server at that port and wait for it; False if somebody else took the port in between."""
        flags = [
            "--etcd-servers=unix://etcd:1",
            "--bind-address=127.0.0.1",
            "--cert-dir=certificates",  # it makes its own
            "--token-auth-file=tokens.csv",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=service-accounts.key",
            "--service-account-signing-key-file=service-accounts.key",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",  # it would refuse to advertise a loopback address
            "--enable-priority-and-fairness=false",  # one client at a time: nothing to be fair about, and a faster start
            "--profiling=false",
        ]
        if self._without:
            flags.append("--feature-gates=" + ",".join(f"{gate}=false" for gate in self._without))
        if self._audit:
            flags += [
                "--audit-policy-file=audit-policy.json",
                "--audit-log-path=audit.log",
                "--audit-log-mode=blocking",
            ]
        access = {"url": f"https://127.0.0.1:{port}", "token": self._token}
        files.write_private(self.folder / "access.json", json.dumps(access))
        self._spawn("kube-apiserver", *flags, f"--secure-port={port}")
        return self._wait_until_ready(progress)

    def _wait_until_ready(self, progress: Progress) -> bool:
        """Wait for the API server; False if somebody else took its port in between."""
        progress.step("Kubernetes: starting the API server")
        client, began = self.client, time.monotonic()
        while not client.is_ready():
            waited = time.monotonic() - began
            for name, process in self._processes.items():
                if process.poll() is not None:
                    if name == "kube-apiserver" and "address already in use" in self.log(name):
                        return False
                    raise ClusterError(f"{name} ended with code {process.returncode}:\n{self.log(name)}")
            if waited > _START_DEADLINE:
                raise ClusterError(f"kube-apiserver is not ready after {waited:.0f} s:\n{self.log('kube-apiserver')}")
            progress.count(0)
            time.sleep(0.05)
        files.write_private(self.kubeconfig, files.kubeconfig(self.url, self.authority, ADMIN, self._token))
        progress.say(f"Kubernetes: ready after {time.monotonic() - began:.1f} s at {self.url}")
        return True

    def _spawn(self, program: str, *flags: str) -> None:
        path = self._programs[program]
        with (self.folder / f"{program}.log").open("wb") as log:
            self._processes[program] = spawn([path, *flags], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: Any = probe.getsockname()[1]
        return int(port)


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
