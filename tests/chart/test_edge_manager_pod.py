"""The container of the Edge Manager's chart, run as a process: its arguments, environment, files and probes are used.

Its root is read-only, it has no capabilities, and its volumes are folders. What would come from Secrets is given here.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import sqlite3
import ssl
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3
import pytest

from edge_manager.store.keys import Seal
from playground.programs.process import spawn, stop
from tests.chart.helm import ROOT, Helm, of_kind
from tests.chart.pod import free_port, namespaces
from tests.chart.test_edge_manager_templates import CHART, EVERYTHING, rendered
from tests.edge_manager.databases import create_database, postgresql
from tests.edge_manager.processes import ONCE, REGION
from tests.edge_manager.test_serve import certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = """\
set -e
for folder in $WRITABLE; do mount --bind "$folder" "$folder"; done
mount -o remount,bind,ro /
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"
"""

pytestmark = pytest.mark.skipif(not namespaces(), reason="needs Linux and the right to make a mount namespace")


class Container:
    """The one container of the Deployment, from `with` to the end of the block."""

    def __init__(self, objects: list[dict[str, Any]], folder: Path, secrets: dict[str, dict[str, str]]) -> None:
        (deployment,) = of_kind(objects, "Deployment")
        self.spec = deployment["spec"]["template"]["spec"]
        (self.container,) = self.spec["containers"]
        made = {
            body["metadata"]["name"]: {key: base64.b64decode(value).decode() for key, value in body["data"].items()}
            for body in of_kind(objects, "Secret")
        }
        self.folder, self.secrets = folder, {**made, **secrets}
        self.ports = {port["containerPort"]: free_port() for port in self.container["ports"]}
        self.volumes = {mount["name"]: folder / mount["name"] for mount in self.container["volumeMounts"]}
        for volume in self.spec["volumes"]:
            self.volumes[volume["name"]].mkdir()
            for name, text in self.secrets.get(volume.get("secret", {}).get("secretName"), {}).items():
                (self.volumes[volume["name"]] / name).write_text(text)
        self.environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin", "/usr/sbin", "/sbin"]),
            "HOME": "/",
            "TMPDIR": str(self.volumes["tmp"]),
            "WRITABLE": " ".join(str(self.volumes[name]) for name in ("tmp", "data") if name in self.volumes),
            **{entry["name"]: self._moved(self._value(entry)) for entry in self.container["env"]},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        arguments = self.container["args"]
        assert "--host=0.0.0.0" in arguments, "a pod must listen on more than its loopback"
        with (self.folder / "log").open("wb") as log:
            command = self.command("-m", "edge_manager", *arguments)
            self.process = spawn(command, env=self.environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            stop(self.process)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def command(self, *arguments: str) -> list[str]:
        """Python with arguments, within the container's bounds."""
        return [*namespaces(), "sh", "-c", SCRIPT, "sh", sys.executable, *map(self._moved, arguments)]

    def python(self, *arguments: str) -> str:
        """What `kubectl exec` with Python prints."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def url(self, port: str, scheme: str = "HTTP") -> str:
        (number,) = (each["containerPort"] for each in self.container["ports"] if each["name"] == port)
        return f"{scheme.lower()}://127.0.0.1:{self.ports[number]}"

    def passes(self, kind: str, context: ssl.SSLContext) -> bool:
        """Whether a probe answers well before a kubelet would have given up; it does not verify certificates."""
        probe, request = self.container[kind], self.container[kind]["httpGet"]
        url = self.url(request["port"], request.get("scheme", "HTTP")) + request["path"]
        deadline = time.monotonic() + probe["periodSeconds"] * probe.get("failureThreshold", 3) + 30
        while True:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            try:
                with urllib.request.urlopen(url, timeout=probe["timeoutSeconds"], context=context) as answer:  # noqa: S310
                    return bool(answer.status == 200)
            except OSError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.1)

    def terminate(self) -> int:
        """End it as a kubelet does; its exit code within the grace period."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(self.spec["terminationGracePeriodSeconds"])

    def _value(self, entry: dict[str, Any]) -> str:
        if "value" in entry:
            return str(entry["value"])
        source = entry["valueFrom"]["secretKeyRef"]
        return self.secrets[source["name"]][source["key"]]

    def _moved(self, text: str) -> str:
        """Paths and ports as they are here."""
        for mount in self.container["volumeMounts"]:
            if mount["mountPath"] != "/tmp":  # noqa: S108  the pod's own; TMPDIR stands for it
                text = text.replace(mount["mountPath"], str(self.volumes[mount["name"]]))
        return re.sub(r"(?<=port=)\d+$", lambda found: str(self.ports[int(found[0])]), text)


@pytest.fixture(params=["sqlite", "everything"])
def container(request: pytest.FixtureRequest, offline: Helm, tmp_path: Path) -> Iterator[Container]:
    if request.param == "sqlite":
        with Container(rendered(offline), tmp_path, {}) as running:
            yield running
        return
    chain, private = (Path(file).read_text() for file in certificate(tmp_path))
    objects = rendered(offline, f"--values={EVERYTHING}")
    with postgresql() as server:
        secrets = {
            "fleet-database": {"uri": create_database(server, "fleet")},
            "fleet-encryption": {"secret.key": Seal.new_key()},
            "fleet-s3": {"access-key-id": "s3", "secret-access-key": "s3"},
            "fleet-tls": {"tls.crt": chain, "tls.key": private},
        }
        with Container(objects, tmp_path, secrets) as running:
            yield running


def test_pod_serves_with_what_the_chart_gives_it(container: Container, offline: Helm, tmp_path: Path) -> None:
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container.passes(kind, trust), container.log
    # The command of the notes, without kubectl.
    told = offline("install", "edge-manager", CHART, "--namespace=edge-manager", "--dry-run=client").stdout
    (words,) = re.findall(r"exec deploy/edge-manager -- edge-manager (.*)$", told, re.MULTILINE)
    key = json.loads(container.python("-m", "edge_manager", *words.split()))
    is_tls = container.container["startupProbe"]["httpGet"].get("scheme") == "HTTPS"
    client = boto3.client(
        "sagemaker",
        region_name=REGION,
        endpoint_url=container.url("api", "HTTPS" if is_tls else "HTTP"),
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        verify=str(tmp_path / "tls.crt") if is_tls else None,
        config=ONCE,
    )
    client.create_device_fleet(DeviceFleetName="shops", OutputConfig={"S3OutputLocation": "s3://models/out"})
    assert [fleet["DeviceFleetName"] for fleet in client.list_device_fleets()["DeviceFleetSummaries"]] == ["shops"]
    client.close()
    if "data" in container.volumes:
        assert backed_up(container) == [("shops",)]
    with urllib.request.urlopen(container.url("metrics") + "/metrics", timeout=60) as answer:  # noqa: S310
        assert 'edge_manager_calls_total{code="OK",operation="CreateDeviceFleet"} 1.0' in answer.read().decode()
    assert container.terminate() == 0, container.log
    assert not re.search(r"(?i)traceback|error|warning|read-only", container.log), container.log
    assert key["SecretAccessKey"] not in container.log
    if not is_tls:
        assert [file.name for file in container.volumes["data"].iterdir()] == ["store.db"]
    assert list(container.volumes["tmp"].iterdir()) == []


def backed_up(container: Container) -> list[tuple[str]]:
    """The fleets in a copy that is made as the documentation says, while the service runs."""
    text = (ROOT / "docs" / "edge-manager-install.md").read_text()
    (script,) = re.findall(r"-- python -c \\\n    '(.*)'", text)
    copy = container.volumes["tmp"] / "backup.db"
    container.python("-c", script.replace("/tmp/backup.db", str(copy)))  # noqa: S108  the pod's own
    with contextlib.closing(sqlite3.connect(copy)) as restored:
        found = restored.execute("SELECT name FROM fleets").fetchall()
    copy.unlink()
    return found


def test_entrypoint_is_the_module_that_is_run_here() -> None:
    scripts = tomllib.loads((ROOT / "packaging" / "edge-manager" / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["edge-manager"] == "edge_manager.__main__:main"
    assert 'ENTRYPOINT ["edge-manager"]' in (ROOT / "Dockerfile").read_text()
