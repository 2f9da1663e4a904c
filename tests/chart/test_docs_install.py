"""docs/install.md, followed to the letter; and what edge-manager-install.md and both README.md take from such pages."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from controller.aws import requests, sagemaker
from playground.programs import find_or_build
from tests.chart.conftest import clean
from tests.chart.helm import ROOT, Helm
from tests.chart.pod import Pod, namespaces
from tests.chart.test_chart_pod import until_served
from tests.pages import blocks

if TYPE_CHECKING:
    from pathlib import Path

    from edge_manager.sandbox.server import Sandbox
    from playground.cluster import Cluster

TEXT = (ROOT / "docs" / "install.md").read_text()
SYSTEM = "edgeplan-system"


def commands(heading: str) -> list[list[str]]:
    """The commands of each console block of a section."""
    (section,) = re.findall(rf"(?ms)^## {heading}$(.*?)(?:^## |\Z)", TEXT)
    blocks = re.findall(r"(?s)```console\n(.*?)```", section)
    return [block.replace("\\\n", " ").removeprefix("$ ").split("\n$ ") for block in blocks]


@pytest.mark.cluster
@pytest.mark.skipif(not namespaces(), reason="needs Linux and the right to make a mount namespace")
def test_fresh_user_gets_from_two_values_to_ready_and_back(
    cluster: Cluster, helm: Helm, sandbox: Sandbox, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, program in find_or_build(["helm", "kubectl"]).items():
        (programs / name).symlink_to(program)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])

    def type_in(command: str) -> str:
        environment = {**os.environ, **helm.environment, "PATH": path, "HOME": str(tmp_path)}
        for _ in range(60):
            done = subprocess.run(
                ["sh", "-c", command], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
            )
            if "There can be a delay between" not in done.stderr:
                break
            time.sleep(1)  # as the page says: the schema that the policy needs comes later, then apply again
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    install, use = commands("Two values")
    assert install[0].count("--set") == 2
    for command in install:
        type_in(command)
    until_served(cluster)
    deployment = json.loads(
        cluster.kubectl("get", "deployment", "edgeplan", f"--namespace={SYSTEM}", "--output=json").stdout
    )
    # AWS: what EKS puts into the pod, and the sandbox instead of the service.
    injected = {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL_SAGEMAKER": sandbox.url,
    }
    with Pod(cluster, SYSTEM, deployment["spec"]["template"]["spec"], tmp_path / "pod", injected) as pod:
        assert pod.passes("startupProbe"), pod.log
        told = [type_in(command) for command in use]
        assert re.search(r"store-cameras +True +InSync", told[-1])
        assert list(sandbox.plans(region="eu-west-1")) == ["store-cameras"]
        ((upgrade, history, rollback), (uninstall,)) = commands("Upgrade, rollback, uninstall")
        type_in(upgrade)
        assert "superseded" in type_in(history)
        type_in(rollback)
        type_in("kubectl delete edp --all --all-namespaces --timeout=120s")
        assert not sandbox.plans(region="eu-west-1")
    type_in(uninstall)


@pytest.mark.cluster
def test_accounts_files_come_from_the_cluster_by_the_page(
    cluster: Cluster, helm: Helm, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "kubectl").symlink_to(find_or_build(["kubectl"])["kubectl"])
    role = "aws.accounts.stores.roleArn=arn:aws:iam::222222222222:role/edgeplan"
    values = f"{role},aws.accounts.stores.regions={{eu-west-1,eu-central-1}},aws.default.enabled=false"
    helm("install", "edgeplan", "charts/edgeplan", f"--namespace={SYSTEM}", "--create-namespace", f"--set={values}")
    (block,) = [block for block in blocks(ROOT / "docs" / "install.md") if "accounts\\.yaml" in block.script]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "EDGEPLAN_"))},
        **helm.environment,
        "PATH": os.pathsep.join([str(tmp_path), str(ROOT / ".venv" / "bin"), os.environ["PATH"]]),
        "AWS_ACCESS_KEY_ID": "AKIA123456789012",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_ENDPOINT_URL": sandbox.url,
    }
    done = subprocess.run(
        ["sh", "-c", block.script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    asked = [line.partition(":")[0] for line in done.stdout.splitlines() if line.startswith("✓ AWS")]
    assert asked == ["✓ AWS stores, eu-west-1", "✓ AWS stores, eu-central-1"], done.stdout + done.stderr
    clean(cluster, helm)


def installs(page: Path) -> list[str]:
    """The commands of a page that install a release."""
    return [
        command.strip()
        for block in blocks(page)
        for command in re.split(r"(?m)^(?!\s)", block.script)
        if command.startswith("helm install ")
    ]


@pytest.mark.parametrize(
    ("page", "others"),
    [
        ("docs/install.md", ["README.md", "charts/edgeplan/README.md"]),
        ("docs/edge-manager-install.md", ["charts/edge-manager/README.md"]),
    ],
)
def test_readmes_install_as_the_page_does(page: str, others: list[str]) -> None:
    (command,) = installs(ROOT / page)
    assert [installs(ROOT / other) for other in others] == [[command]] * len(others)


@pytest.mark.cluster
def test_edge_manager_is_installed_upgraded_and_uninstalled_by_the_page(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, program in find_or_build(["helm", "kubectl"]).items():
        (programs / name).symlink_to(program)
    # What is done within the pod needs a node, and is run by test_edge_manager_pod.py.
    scripts = [
        re.sub(r"(?m)^kubectl -n edge-manager exec .*$", "", block.script.replace("\\\n", " "))
        for block in blocks(ROOT / "docs" / "edge-manager-install.md")
        if block.how == "run"
    ]
    environment = {**os.environ, **helm.environment, "PATH": os.pathsep.join([str(programs), os.environ["PATH"]])}
    # The Secret is made before the chart that is told of it, in a namespace that is there.
    script = "kubectl create namespace edge-manager\n" + "".join(scripts)
    done = subprocess.run(["sh", "-ec", script], env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    assert 'release "edge-manager" uninstalled' in done.stdout
    cluster.kubectl("delete", "namespace", "edge-manager", "--wait=false")


def test_iam_actions_are_the_calls_that_are_made() -> None:
    policy, *_ = re.findall(r"(?s)```json\n(.*?)```", TEXT)
    named = re.findall(r"sagemaker:([A-Z]\w+)", policy)
    sources = "".join(map(inspect.getsource, (sagemaker, requests)))
    made = set(re.findall(r'"((?:Create|Describe|Delete|Start|Stop|List|Add)[A-Z]\w+)"', sources))
    assert sorted(named) == sorted(made)
