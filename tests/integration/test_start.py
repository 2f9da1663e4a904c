"""How the operator starts where it cannot: one line and exit code 2, or patience; and what its log never shows."""

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from playground.cluster import Cluster
from tests.integration.operators import REGION, OperatorProcess, World, wait_until

COMMAND = [sys.executable, "-m", "controller.cli", "run"]


def started(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *flags], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def refused(*flags: str, **environment: str) -> str:
    """The one line that it ends with."""
    ended = started("--aws-region", REGION, *flags, **environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def kubeconfig(path: Path, server: str, **cluster: Any) -> str:
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "a",
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "clusters": [{"name": "a", "cluster": {"server": server, **cluster}}],
                "users": [{"name": "a", "user": {"token": "nobody"}}],
            }
        )
    )
    return str(path)


def test_a_bad_accounts_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "accounts.yaml"
    path.write_text(json.dumps({"default": {"roleArn": "arn:aws:iam::222222222222:role/a", "regions": [REGION]}}))
    assert refused("--accounts-file", str(path)).startswith(f"accounts file {path}: default: ")
    assert "No such file" in refused("--accounts-file", str(tmp_path / "none"))
    path.write_text("regions: [eu-wset-1]")
    assert "eu-wset-1: not a region" in refused("--own-account-file", str(path))


def test_a_bad_cluster_id_is_one_line_with_the_value() -> None:
    assert refused("--cluster-id", "team/prod").startswith("--cluster-id: 'team/prod' is not 1 to 63 letters")
    assert refused(EDGEPLAN_CLUSTER_ID="prod#1").startswith("EDGEPLAN_CLUSTER_ID: 'prod#1' is not 1 to 63")


def test_a_port_that_is_taken_is_one_line() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/healthz"
        assert refused("--liveness", url).startswith(f"--liveness {url}: Address already in use")
        number = url.rpartition(":")[2].removesuffix("/healthz")
        assert refused("--metrics-port", number).startswith(f"--metrics-port {number}: Address already in use")
    assert "is not a number from 0 to 65535" in refused("--metrics-port", "65536")
    assert "is not of the form" in refused("--liveness", "8080")


def test_no_way_to_a_cluster_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config"
    assert str(path) in refused(KUBECONFIG=str(path))
    for content in ("clusters: [", "clusters: []", "7", "\x00"):
        path.write_text(content)
        assert str(path) in refused(KUBECONFIG=str(path))


def test_credentials_that_the_api_server_refuses_are_one_line(installed: Cluster, tmp_path: Path) -> None:
    own = yaml.safe_load(installed.kubeconfig.read_text())["clusters"][0]["cluster"]
    path = kubeconfig(tmp_path / "config", **own)
    assert "401 Unauthorized" in refused(KUBECONFIG=path)
    path = kubeconfig(tmp_path / "config", own["server"])
    assert "certificate verify failed" in refused(KUBECONFIG=path)


def test_an_api_server_that_is_down_is_waited_for_with_a_line_a_try(world: World, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        port = closed.getsockname()[1]
    real = yaml.safe_load(world.cluster.kubeconfig.read_text())
    address = real["clusters"][0]["cluster"]["server"].rpartition(":")
    real["clusters"][0]["cluster"]["server"] = f"{address[0]}:{port}"
    config = tmp_path / "config"
    config.write_text(yaml.safe_dump(real))
    operator = world.process(tmp_path / "log")
    operator._environment["KUBECONFIG"] = str(config)
    world.create("plan")
    with operator:
        wait_until(lambda: operator.log.read_text().count("does not answer") == 2, seconds=30)
        assert len(operator.log.read_text().splitlines()) == 2
        with Relay(port, int(address[2])):
            world.wait_for("plan", "Ready", seconds=30)
            assert operator.stop() == 0
    assert "Traceback" not in operator.log.read_text()


def test_a_sigterm_ends_the_waiting(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", "https://127.0.0.1:9")
    operator = OperatorProcess("--aws-region", REGION, log=tmp_path / "log", KUBECONFIG=path)
    with operator:
        wait_until(lambda: "does not answer" in operator.log.read_text(), seconds=30)
        begun = time.monotonic()
        assert operator.stop(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 5


class Relay:
    """A port that leads to another one."""

    def __init__(self, port: int, to: int) -> None:
        code = (
            "import asyncio, sys\n"
            "async def pump(a, b):\n"
            "    while data := await a.read(65536): b.write(data); await b.drain()\n"
            "    b.close()\n"
            "async def relay(r, w):\n"
            f"    fr, fw = await asyncio.open_connection('127.0.0.1', {to})\n"
            "    await asyncio.gather(pump(r, fw), pump(fr, w), return_exceptions=True)\n"
            "async def main():\n"
            f"    await (await asyncio.start_server(relay, '127.0.0.1', {port})).serve_forever()\n"
            "asyncio.run(main())\n"
        )
        self._process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)

    def __enter__(self) -> None:
        pass

    def freeze(self) -> None:
        """Connections stay, new ones are taken, and nothing gets through."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def test_liveness_fails_while_the_api_server_is_silent_and_a_new_process_works(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, probe = free_port(), free_port()
    kubectl = Path(world.cluster.kubeconfig).read_text()
    (tmp_path / "kubeconfig").write_text(kubectl.replace(world.cluster.url, f"https://127.0.0.1:{port}"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    flags = ("--liveness", f"http://127.0.0.1:{probe}/healthz", "--watch-patience", "15s")
    relay = Relay(port, int(world.cluster.url.rpartition(":")[2]))
    with relay, world.process(tmp_path / "log", *flags) as operator:
        wait_until(lambda: healthy(probe) is True, seconds=60, every=0.5)
        relay.freeze()
        wait_until(lambda: healthy(probe) is False, seconds=120, every=0.5)
        operator.stop(signal.SIGKILL)  # as the kubelet does
        relay.thaw()
        with operator:
            wait_until(lambda: healthy(probe) is True, seconds=60, every=0.5)
            world.create("works")
            world.wait_for("works", "Ready", seconds=60)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return int(taken.getsockname()[1])


def healthy(port: int) -> bool | None:
    """What the liveness probe answers; None while nobody does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10):
            return True
    except urllib.error.HTTPError:
        return False
    except OSError:
        return None


# -- secrets --------------------------------------------------------------------------------------------------------

OWN_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105 - nobody's
ROLE_SECRET = "Zp7vQ0abcdefghijklmnopqrstuvwxyz01234567"  # noqa: S105 - nobody's
ROLE_TOKEN = base64.b64encode(b'["222222222222"').decode()[:16]  # how the sandbox's tokens of that account begin

# What its flags make of the log and, as none of them does, all records of all libraries.
LEVELS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "default": ((), None),
    "verbose, in json": (("--verbose", "--log-format", "json"), None),
    "libraries at INFO": ((), "INFO"),
    "libraries at DEBUG": ((), "DEBUG"),
    "libraries at DEBUG, in json": (("--verbose", "--log-format", "json"), "DEBUG"),
}


@pytest.mark.parametrize("name", LEVELS)
def test_no_secret_is_in_the_log_at_any_level(
    world: World, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _size: ROLE_SECRET)  # the sandbox's dice
    flags, level = LEVELS[name]
    accounts = tmp_path / "accounts.yaml"
    role = {"roleArn": "arn:aws:iam::222222222222:role/edge", "regions": [REGION]}
    accounts.write_text(json.dumps({"emea": role}))
    operator = world.process(tmp_path / "log", "--accounts-file", str(accounts), *flags)
    operator._environment["AWS_SECRET_ACCESS_KEY"] = OWN_SECRET
    if level is not None:
        names = ("botocore", "boto3", "urllib3", "aiohttp", "kubernetes", "kopf", "controller")
        setup = f"import logging; [logging.getLogger(name).setLevel({level!r}) for name in {names!r}]"
        main = f"{setup}; import sys; from controller.cli import main; sys.exit(main(sys.argv[1:]))"
        operator._command = [sys.executable, "-c", main, *operator._command[3:]]
    world.create("own")
    world.create("theirs", target={"account": "emea"})
    with operator:
        for plan in ("own", "theirs"):
            world.wait_for(plan, "Ready")
        assert operator.stop() == 0
    shown = operator.log.read_text()
    for secret in (OWN_SECRET, ROLE_SECRET, ROLE_TOKEN):
        assert secret not in shown
    assert ("Response body" in shown) == (level == "DEBUG")  # botocore does show what it gets, if it may
    assert world.sandbox.counts()["AssumeRole"] == 1


def test_a_start_that_the_cluster_refuses_says_why_in_its_last_line(
    world: World, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts open by labels of namespaces, which the service account may not list."""
    inside = ("--namespace", world.namespace)
    cluster.kubectl("create", "serviceaccount", "operator", *inside)
    rights = (
        "--resource=edgedeploymentplans.edgeplan.dev",
        "--resource=customresourcedefinitions.apiextensions.k8s.io",
    )
    cluster.kubectl("create", "clusterrole", world.namespace, "--verb=get,list,watch", *rights)
    bound = (f"--clusterrole={world.namespace}", f"--serviceaccount={world.namespace}:operator")
    cluster.kubectl("create", "clusterrolebinding", world.namespace, *bound)
    monkeypatch.setenv("KUBECONFIG", str(cluster.service_account_kubeconfig(world.namespace, "operator")))
    accounts = tmp_path / "accounts.yaml"
    emea = {"roleArn": "arn:aws:iam::222222222222:role/a", "regions": [REGION]}
    accounts.write_text(json.dumps({"emea": emea | {"namespaceSelector": {"matchLabels": {"fleet": "edge"}}}}))
    ended = started("--aws-region", REGION, "--cluster-id", "test", "--accounts-file", str(accounts))
    assert ended.returncode == 2
    *_, last = ended.stderr.splitlines()
    assert last.startswith("error: ")
    assert "cannot list namespaces" in last
    assert "Forbidden" in last
