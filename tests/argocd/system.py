"""A running Argo CD without nodes: application-controller, repo-server, redis, a git repository, and our operator.

Everything is a process of this test run and dies with it.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self

import yaml

from playground.cluster import ApiError, Cluster
from playground.cluster.local import _free_port
from playground.programs.process import spawn, stop
from tests.argocd.programs import argocd, source
from tests.integration import operators

NAMESPACE = "argocd"
ROOT = Path(__file__).parents[2]
DEADLINE = 60.0  # seconds: a loaded machine is slow, and a wait that is over returns at once
_REDIS = (
    "from fakeredis import TcpFakeServer; import sys; TcpFakeServer(('127.0.0.1', int(sys.argv[1]))).serve_forever()"
)


wait_until = partial(operators.wait_until, seconds=DEADLINE, every=0.1)


def wait_served(cluster: Cluster, api_version: str, plurals: set[str], seconds: float = 30) -> None:
    """Wait until the API server serves these kinds (`kubectl wait` fails on a CRD that has no conditions yet)."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ApiError):
            found = cluster.client.request("GET", f"/apis/{api_version}")["resources"]
            if plurals <= {resource["name"] for resource in found}:
                return
        assert time.monotonic() < deadline, f"{api_version} is not served"
        time.sleep(0.1)


class Repository:
    """A git repository on this disk that Argo CD pulls from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def commit(self, message: str, **files: str | None) -> str:
        """Write files (None: remove), commit; the commit's id. `plan` stands for plan.yaml."""
        for name, text in files.items():
            path = self.folder / f"{name}.yaml"
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", message)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, text=True, capture_output=True, check=True
        )
        return done.stdout


class ArgoCD:
    """The processes, and Applications as a user sees them."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        program, upstream = argocd(), source()
        self._install(upstream)
        redis, repo_server = f"127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}"
        self._tools(upstream)
        self._start("redis", sys.executable, "-c", _REDIS, redis.partition(":")[2])
        self._start(
            "argocd-repo-server",
            program,
            *("--address=127.0.0.1", f"--port={repo_server.partition(':')[2]}", f"--metrics-port={_free_port()}"),
            *("--disable-tls", "--client-ca-path=", f"--redis={redis}", "--revision-cache-expiration=1s"),
        )
        self._start(
            "argocd-application-controller",
            program,
            *(f"--namespace={NAMESPACE}", f"--redis={redis}", f"--metrics-port={_free_port()}"),
            *(f"--repo-server={repo_server}", "--repo-server-plaintext", "--persist-resource-health"),
            *("--app-resync=2", "--app-resync-jitter=0", "--self-heal-timeout-seconds=1"),
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _install(self, upstream: Path) -> None:
        """What Argo CD's own manifests install, less the pods; then our argocd-cm, as docs/argocd.md says."""
        kubectl = self.cluster.kubectl
        kubectl("create", "namespace", NAMESPACE)
        for name in ("application", "appproject"):
            kubectl("apply", "--server-side", "-f", str(upstream / "manifests" / "crds" / f"{name}-crd.yaml"))
        wait_served(self.cluster, "argoproj.io/v1alpha1", {"applications", "appprojects"})
        kubectl("apply", "--namespace", NAMESPACE, "--kustomize", str(upstream / "manifests" / "base" / "config"))
        self.apply(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AppProject",
                "metadata": {"name": "default", "namespace": NAMESPACE},
                "spec": {
                    "sourceRepos": ["*"],
                    "destinations": [{"namespace": "*", "server": "*"}],
                    "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
                },
            }
        )
        for patch in (ROOT / "argocd" / "argocd-cm.yaml", ROOT / "examples" / "argocd" / "application-health.yaml"):
            kubectl("patch", "configmap", "argocd-cm", "--namespace", NAMESPACE, "--patch-file", str(patch))

    def _tools(self, upstream: Path) -> None:
        """The wrapper that Argo CD's image has in its PATH; the module cache keeps no executable bits."""
        tools = self.folder / "tools"
        tools.mkdir(parents=True)
        wrapper = tools / "git-verify-wrapper.sh"
        wrapper.write_bytes((upstream / "hack" / "git-verify-wrapper.sh").read_bytes())
        wrapper.chmod(0o755)

    def _start(self, name: str, *command: str | Path) -> None:
        scratch = self.folder / name
        scratch.mkdir(parents=True)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ARGOCD_", "AWS_"))},
            "ARGOCD_BINARY_NAME": name,
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "PATH": f"{self.folder / 'tools'}{os.pathsep}{os.environ['PATH']}",
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            process = spawn(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=scratch)
        self._stack.callback(stop, process, grace=2)

    # -- Applications -----------------------------------------------------------------------------------------------

    def apply(self, body: dict[str, Any]) -> None:
        self.cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(body))

    def get(self, name: str) -> dict[str, Any]:
        done = self.cluster.kubectl(
            "get", "application", name, "--namespace", NAMESPACE, "--ignore-not-found", "-o", "yaml"
        )
        return dict(yaml.safe_load(done.stdout) or {})

    def wait(
        self, name: str, wanted: Callable[[dict[str, Any]], object], *, seconds: float = DEADLINE
    ) -> dict[str, Any]:
        """The Application once it is as wanted; else AssertionError with how it is and the logs' ends."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get(name)
            if wanted(found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{yaml.safe_dump(found.get('status'))}\n{self.logs()}")
            time.sleep(0.2)

    def wait_health(self, name: str, health: str, sync: str = "Synced", **how: float) -> dict[str, Any]:
        """The Application once its health and sync are these."""

        def so(found: dict[str, Any]) -> bool:
            status = found.get("status", {})
            return (status.get("health", {}).get("status"), status.get("sync", {}).get("status")) == (health, sync)

        return self.wait(name, so, **how)

    def logs(self, lines: int = 15) -> str:
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
            for log in sorted(self.folder.glob("*.log"))
        )
