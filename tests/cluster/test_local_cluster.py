"""The local cluster on the real programs."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from playground.cluster import ApiError, Cluster, ClusterError, LocalCluster, files
from playground.programs import ASSETS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.cluster


def test_kubectl_works(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "configmap", "prices", "--from-literal=milk=1", f"--namespace={namespace}")
    assert cluster.kubectl("get", "configmap", "prices", f"-n{namespace}", "-o=jsonpath={.data.milk}").stdout == "1"


def test_kubectl_takes_a_manifest_from_standard_input(cluster: Cluster, namespace: str) -> None:
    manifest = f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, namespace: {namespace}}}}}"
    assert cluster.kubectl("apply", "--filename=-", input=manifest).stdout == "configmap/a created\n"


def test_failing_kubectl_raises_with_what_it_said(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match='namespaces "nowhere" not found'):
        cluster.kubectl("get", "namespace", "nowhere")
    assert cluster.kubectl("get", "namespace", "nowhere", check=False).returncode == 1


def test_writes_are_counted_with_who_and_what(cluster: Cluster, namespace: str) -> None:
    for data in ("1", "2"):
        cluster.kubectl(
            "apply",
            "--filename=-",
            input=f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, namespace: {namespace}}}, data: {{a: '{data}'}}}}",
        )
    cluster.kubectl("get", "configmap", "a", f"-n{namespace}")
    writes = cluster.writes(namespace=namespace, resource="configmaps", user_agent="kubectl")
    assert [(write.verb, write.name, write.user, write.code) for write in writes] == [
        ("create", "a", "admin", 201),
        ("patch", "a", "admin", 200),
    ]
    assert cluster.writes(namespace=namespace, verb="delete") == []


def test_service_account_has_its_own_rights_only(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "serviceaccount", "operator", f"-n{namespace}")
    kubeconfig = cluster.service_account_kubeconfig(namespace, "operator")
    as_operator = (f"--kubeconfig={kubeconfig}", "auth", "whoami", "-o=jsonpath={.status.userInfo.username}")
    assert cluster.kubectl(*as_operator).stdout == f"system:serviceaccount:{namespace}:operator"
    assert "Forbidden" in cluster.kubectl(f"--kubeconfig={kubeconfig}", "get", "pods", check=False).stderr


def test_refused_request_carries_the_servers_words(cluster: Cluster) -> None:
    with pytest.raises(ApiError, match='namespaces "nowhere" not found') as refused:
        cluster.client.request("GET", "/api/v1/namespaces/nowhere")
    assert refused.value.code == 404


def test_namespace_goes_with_a_controller_manager(cluster: Cluster, namespace: str) -> None:
    with cluster.controller_manager():
        cluster.kubectl("delete", "namespace", namespace, "--timeout=60s")
    assert cluster.kubectl("get", "namespace", namespace, check=False).returncode == 1


def test_stop_leaves_neither_process_nor_file() -> None:
    with LocalCluster() as own:
        folder = own.folder
        processes = processes_in(folder)
        assert sorted(processes.values()) == ["etcd", "kube-apiserver"]
    assert not folder.exists()
    assert not any(Path(f"/proc/{process}").exists() for process in processes)


def test_restarted_api_server_keeps_its_address_and_its_objects() -> None:
    with LocalCluster() as own:
        given, url = own.client, own.url
        own.kubectl("create", "configmap", "prices")
        with own.elsewhere():
            assert own.url != url
            assert not given.is_ready()
            own.kubectl("create", "configmap", "more")
        assert own.url == url
        assert given.is_ready()
        own.restart_api_server()
        assert own.kubectl("get", "configmaps", "-o=name").stdout.split() == ["configmap/more", "configmap/prices"]
        assert sorted(processes_in(own.folder).values()) == ["etcd", "kube-apiserver"]


def test_killed_python_leaves_no_process_and_the_next_cluster_removes_its_files() -> None:
    program = (
        "import time\n"
        "from playground.cluster import LocalCluster\n"
        "with LocalCluster() as cluster:\n"
        "    print(cluster.folder, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as python:
        assert python.stdout is not None
        folder = Path(python.stdout.readline().strip())
        processes = processes_in(folder)
        assert len(processes) == 2
        python.kill()
    eventually(lambda: not processes_in(folder))
    made, lock = files.make_folder()
    with lock:
        assert not folder.exists()
        made.joinpath("lock").unlink()
        made.rmdir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_points_kubectl_at_its_cluster_until_it_is_told_to_stop(cluster: Cluster, number: int) -> None:
    program = "import sys; from playground.cluster import run; sys.exit(run())"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as python:
        assert python.stdout is not None
        kubeconfig = Path(python.stdout.readline().strip().removeprefix("export KUBECONFIG="))
        assert "kube-system" in cluster.kubectl(f"--kubeconfig={kubeconfig}", "get", "namespaces").stdout
        python.send_signal(number)
        assert python.wait(timeout=20) == 0
    assert not kubeconfig.parent.exists()


def test_failed_start_says_what_the_program_said_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("etcd", "kube-apiserver"):
        fake = tmp_path / name
        fake.write_text("#!/bin/sh\necho no room left for $0\nexit 3\n")
        fake.chmod(0o755)
    monkeypatch.setenv(ASSETS_VARIABLE, str(tmp_path))
    own = LocalCluster()
    with pytest.raises(ClusterError, match=r"ended with code 3:\nno room left"):
        own.start()
    assert not own.folder.exists()


def processes_in(folder: Path) -> dict[int, str]:
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            if (process / "cwd").readlink() == folder:
                found[int(process.name)] = (process / "exe").readlink().name
    return found


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
