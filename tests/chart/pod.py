"""A pod without a node: what the kubelet would run, run here.

The container's own command, arguments, environment and files, its ServiceAccount's token where every pod has it, a
read-only root, no capabilities, no new privileges; as a process in a mount namespace of its own. Its ports are
others than the manifest's, as many pods share one machine here.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import yaml

from playground.programs.process import spawn, stop
from tests.chart.helm import ROOT

if TYPE_CHECKING:
    from playground.cluster import Cluster

_SCRIPT = """\
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cp "$0"/* /run/secrets/kubernetes.io/serviceaccount/
mount -o remount,bind,ro /
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"
"""


@cache
def namespaces() -> tuple[str, ...]:
    """The command that gives a process mounts of its own, or () where the machine does not let us."""
    command = ("unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)))
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("setpriv"):
        return ()
    trial = "mount -t tmpfs tmpfs /run && mount -o remount,bind,ro / && exec setpriv --no-new-privs true"
    tried = subprocess.run([*command, "sh", "-c", trial], capture_output=True, check=False)
    return command if tried.returncode == 0 else ()


class Pod:
    """The one container of a pod spec, from `with` to the end of the block."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        spec: dict[str, Any],
        folder: Path,
        injected: dict[str, str] | None = None,
    ) -> None:
        """`injected` is what a cluster's admission adds to the environment, as EKS does for AWS credentials."""
        self._cluster = cluster
        self._namespace = namespace
        self._spec = spec
        self._folder = folder
        (self.container,) = spec["containers"]
        self._injected = injected or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self._metrics_port = free_port()

    def __enter__(self) -> Self:
        self._folder.mkdir()
        with self._log.open("wb") as log:
            self._process = spawn(self._command(), env=self._environment(), stdout=log, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            stop(self._process)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait(self, seconds: float = 30) -> int:
        """The exit code, when it ends by itself."""
        assert self._process is not None
        return self._process.wait(seconds)

    def terminate(self) -> int:
        """End it as a kubelet does: SIGTERM, and TimeoutExpired after the grace period; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(self._spec["terminationGracePeriodSeconds"])

    def probe(self, kind: str) -> int:
        """What the container answers to its probe; 0 when it does not."""
        request = self.container[kind]["httpGet"]
        assert self._container_port(request["port"]) == self._served()[0]
        patience = self.container[kind].get("timeoutSeconds", 1)
        url = f"{request.get('scheme', 'HTTP').lower()}://127.0.0.1:{self._port}{request['path']}"
        try:
            with urllib.request.urlopen(url, timeout=patience) as answer:  # noqa: S310 - http, or the probe fails
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def passes(self, kind: str) -> bool:
        """Whether the probe answers before a kubelet would have given up."""
        probe = self.container[kind]
        patience = probe.get("initialDelaySeconds", 0) + probe["periodSeconds"] * probe.get("failureThreshold", 3)
        deadline = time.monotonic() + patience
        while (answer := self.probe(kind)) == 0 and time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self.log
            time.sleep(0.1)
        return answer == 200

    def metrics(self) -> str:
        """What a scrape of the container's port `metrics` is answered."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _command(self) -> list[str]:
        command = [*self.container.get("command", entrypoint()), *self.container.get("args", [])]
        for mount in self.container.get("volumeMounts", []):
            files = str(self._files(mount["name"]))
            command = [part.replace(mount["mountPath"], files) for part in command]
        if "ports" in self.container:
            served, flag = self._served()
            command[command.index(flag)] = flag.replace(f":{served}/", f":{self._port}/")
            metrics = f"--metrics-port={self._container_port('metrics')}"
            command[command.index(metrics)] = f"--metrics-port={self._metrics_port}"
        return [*namespaces(), "sh", "-c", _SCRIPT, str(self._token()), *command]

    def _served(self) -> tuple[int, str]:
        """The port that the command serves, and the flag that says so."""
        (flag,) = (part for part in self.container["args"] if part.startswith("--liveness="))
        url = urlsplit(flag.partition("=")[2])
        assert url.hostname == "0.0.0.0", "a pod must listen on more than its loopback"  # noqa: S104
        return int(url.port or 80), flag

    def _container_port(self, name: str | int) -> int:
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        return int(ports[name]) if isinstance(name, str) else name

    def _environment(self) -> dict[str, str]:
        server = urlsplit(self._cluster.url)
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin", "/usr/sbin", "/sbin"]),
            "HOME": "/",
            "KUBERNETES_SERVICE_HOST": str(server.hostname),
            "KUBERNETES_SERVICE_PORT": str(server.port),
            **self._injected,
            **{entry["name"]: self._value(entry) for entry in self.container.get("env", [])},
        }

    def _value(self, entry: dict[str, Any]) -> str:
        if "value" in entry:
            return str(entry["value"])
        key = entry["valueFrom"]["secretKeyRef"]
        secret = self._read("secrets", key["name"])
        return base64.b64decode(secret["data"][key["key"]]).decode()

    def _files(self, volume: str) -> Path:
        """The files of a ConfigMap volume."""
        (source,) = (found["configMap"] for found in self._spec["volumes"] if found["name"] == volume)
        folder = self._folder / volume
        folder.mkdir()
        for name, text in self._read("configmaps", source["name"])["data"].items():
            (folder / name).write_text(text)
        return folder

    def _token(self) -> Path:
        """The files that every pod has of its ServiceAccount."""
        path = self._cluster.service_account_kubeconfig(self._namespace, self._spec["serviceAccountName"])
        config = yaml.safe_load(path.read_text())
        folder = self._folder / "serviceaccount"
        folder.mkdir()
        (folder / "token").write_text(config["users"][0]["user"]["token"])
        (folder / "ca.crt").write_bytes(
            base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
        )
        (folder / "namespace").write_text(self._namespace)
        return folder

    def _read(self, kind: str, name: str) -> dict[str, Any]:
        return dict(self._cluster.client.request("GET", f"/api/v1/namespaces/{self._namespace}/{kind}/{name}"))


def entrypoint() -> list[str]:
    """The image's entrypoint."""
    found = re.findall(r"(?m)^ENTRYPOINT (\[.*\])$", (ROOT / "Dockerfile").read_text())
    return list(json.loads(found[-1]))


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
