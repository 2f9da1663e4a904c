"""A running cluster as its users see it: kubeconfigs, kubectl, REST calls, the writes so far."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING, Final

from playground.cluster import files
from playground.cluster.audit import Write, read_requests, read_writes
from playground.cluster.client import ApiClient
from playground.programs import find, find_or_build
from playground.programs.process import spawn, stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN: Final = "admin"
# What a namespace needs in order to go, and what removes the objects of an owner; a kubelet has no work here.
_CONTROLLERS: Final = "namespace-controller,garbage-collector-controller,serviceaccount-controller"


class ClusterError(Exception):
    """The cluster did not start, or one of its commands failed; the message says what the program said."""


class Cluster:
    """A running cluster, known by its folder: any process of the same user can use it so."""

    folder: Path

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def url(self) -> str:
        """The address of the API server."""
        return str(self._access()["url"])

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of a cluster administrator."""
        return self.folder / "kubeconfig"

    @property
    def authority(self) -> Path:
        """The certificate that the API server's own is signed by."""
        return self.folder / "certificates" / "apiserver.crt"

    @property
    def client(self) -> ApiClient:
        """A small REST client with an administrator's rights."""
        return ApiClient(self.url, str(self._access()["token"]), self.authority)

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - named as subprocess.run names it
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as administrator; a failure raises `ClusterError` with what kubectl said unless `check` is off."""
        command = [
            str(find_or_build(["kubectl"])["kubectl"]),
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.folder / 'kubectl-cache'}",  # not the user's: the next cluster may get this port
            *arguments,
        ]
        done = subprocess.run(command, input=input, capture_output=True, text=True, check=False)  # noqa: S603
        if check and done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}{done.stdout}")
        return done

    def has_kubectl(self) -> bool:
        """Tell whether kubectl is on this machine, that is, without building it."""
        return "kubectl" in find(["kubectl"])

    def writes(self, **wanted: str) -> list[Write]:
        """Return the write requests so far whose fields equal the wanted ones, oldest first (needs `audit=True`).

        `cluster.writes(resource="edgedeploymentplans/status", namespace="retail", user_agent="kopf/")`
        """
        return list(read_writes(self._audit_log(), **wanted))

    def requests(self, **wanted: str) -> list[Write]:
        """Return the same, and of service accounts the reads too (needs `audit=True`)."""
        return list(read_requests(self._audit_log(), **wanted))

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig with an hour's token of an existing service account: its rights, not ours."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        token = self.client.request("POST", path, request)["status"]["token"]
        return files.write_private(
            self.folder / f"kubeconfig-{namespace}-{name}",
            files.kubeconfig(self.url, self.authority, f"{namespace}-{name}", token, namespace),
        )

    def log(self, program: str, lines: int = 30) -> str:
        """Return the end of a program's log."""
        text = (self.folder / f"{program}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    @contextlib.contextmanager
    def controller_manager(self) -> Iterator[None]:
        """Run the controllers that finish the deletion of namespaces and of owned objects, for the block."""
        program = find_or_build(["kube-controller-manager"])["kube-controller-manager"]
        with (self.folder / f"{program.name}.log").open("ab") as log:
            process = spawn([program, *self._controller_flags()], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            stop(process)

    def _audit_log(self) -> Path:
        if not (self.folder / "audit-policy.json").exists():
            raise ClusterError("this cluster keeps no audit log: start it with audit=True")
        return self.folder / "audit.log"

    @staticmethod
    def _controller_flags() -> list[str]:
        return [
            "--kubeconfig=kubeconfig",
            f"--controllers={_CONTROLLERS}",
            "--leader-elect=false",
            "--secure-port=0",
        ]

    def _access(self) -> dict[str, str]:
        return dict(json.loads((self.folder / "access.json").read_text()))
