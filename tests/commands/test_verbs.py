"""The commands that look at objects and change them, on the real API server: get, wait, promote, reconcile and the others."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.commands.accounts import scopes_of
from controller.commands.check import judge_definition, judge_leader, judge_operator
from controller.commands.options import AwsFlags
from controller.domain.api import RECONCILE_ANNOTATION
from controller.schema.crd import custom_resource_definition
from edge_manager.sandbox.server import Sandbox
from tests.commands.conftest import Ended
from tests.integration.operators import COLLECTION, World, stage, wait_until

Run = Callable[..., Ended]
STALLED = "stage half: 12 of 100 devices failed, over maxFailedPercent 10"
STAGES = [stage("canary", 1), stage("half", 50), stage("fleet", 100)]
ROLLOUT = {"strategy": "Sequential", "throughStage": "canary"}


@pytest.fixture
def here(edgeplan: Run, world: World) -> Run:
    """Run `edgeplan VERB ...` in the namespace of the test."""
    return lambda verb, *arguments: edgeplan(verb, "-n", world.namespace, *arguments)


def condition(kind: str, status: str, reason: str, message: str, *, generation: int) -> dict[str, Any]:
    return {
        "type": kind, "status": status, "reason": reason, "message": message,
        "observedGeneration": generation, "lastTransitionTime": "2026-03-01T12:00:00Z",
    }  # fmt: skip


def report(world: World, name: str, *, generation: int | None = None, **status: Any) -> None:
    """Write a status, as an operator would."""
    now = (world.get(name) or {})["metadata"]["generation"] if generation is None else generation
    given = [condition(*each, generation=now) for each in status.pop("conditions")]
    body = {"status": {"observedGeneration": now, "conditions": given} | status}
    path = f"{COLLECTION.format(world.namespace)}/{name}/status"
    world.cluster.client.request("PATCH", path, body, "application/merge-patch+json")


def stall(world: World, name: str, **more: Any) -> None:
    said = [("Ready", "False", "RolloutStopped", STALLED), ("Stalled", "True", "RolloutStopped", STALLED)]
    report(world, name, conditions=said, **more)


def make_ready(world: World, name: str, **more: Any) -> None:
    report(world, name, conditions=[("Ready", "True", "InSync", "AWS holds the plan as specified")], **more)


@contextmanager
def a_moment_later(change: Callable[[], None]) -> Iterator[None]:
    """Make a change while the command of the block runs."""
    timer = threading.Timer(1.0, change)
    timer.start()
    try:
        yield
    finally:
        timer.join()


# --- wait ---


def test_waiting_ends_at_once_when_the_plan_is_stalled(here: Run, world: World) -> None:
    world.create("store")
    with a_moment_later(lambda: stall(world, "store")):
        ended = here("wait", "store", "--timeout", "5m")
    assert ended.code == 1
    assert (
        ended.err
        == f"error: {world.namespace}/store: Stalled: RolloutStopped: {STALLED}\nsee docs/troubleshooting.md#rolloutstopped\n"
    )


def test_a_plan_that_is_stalled_already_is_not_waited_for(here: Run, world: World) -> None:
    world.create("store")
    stall(world, "store")
    assert here("wait", "store", "--timeout", "5m").code == 1


def test_what_was_said_of_an_earlier_spec_is_waited_out(here: Run, world: World) -> None:
    world.create("store")
    stall(world, "store")
    world.edit("store", deviceFleetName="other")
    with a_moment_later(lambda: make_ready(world, "store")):
        ended = here("wait", "store", "--timeout", "5m")
    assert ended.code == 0
    assert ended.out == f"{world.namespace}/store: Ready: InSync: AWS holds the plan as specified\n"


def test_a_stage_and_a_deletion_can_be_waited_for(here: Run, world: World) -> None:
    world.create("store", stages=STAGES)
    under_way = [("Ready", "False", "RolloutProgressing", "x"), ("Reconciling", "True", "RolloutProgressing", "x")]
    deployed = [{"stageName": "canary", "status": "DEPLOYED"}]
    with a_moment_later(lambda: report(world, "store", conditions=under_way, stages=deployed)):
        assert here("wait", "store", "--for", "stage=canary", "--timeout", "5m").code == 0
    with a_moment_later(lambda: world.delete("store")):
        assert here("wait", "store", "--for", "delete", "--timeout", "5m").code == 0
    assert here("wait", "store", "--for", "delete").code == 0
    gone = here("wait", "store")
    assert (gone.code, gone.err) == (
        1,
        f"error: edgedeploymentplans 'store' not found in namespace {world.namespace}\n",
    )


def test_waiting_in_vain_tells_how_things_are(here: Run, world: World) -> None:
    world.create("store")
    ended = here("wait", "store", "--timeout", "1s")
    assert ended.code == 1
    assert "not ready after 1s: Waiting: no operator has looked at it yet" in ended.err


def test_what_fails_while_a_plan_is_waited_for_is_told_once(here: Run, world: World) -> None:
    world.create("store")
    text = "next try 12:00:00 UTC: AccessDeniedException: not allowed"
    said = [("Ready", "False", "AccessDenied", text), ("Reconciling", "True", "ProgressingWithRetry", text)]
    error = {"code": "AccessDeniedException", "message": "not allowed"}
    for attempts in (1, 2):
        retry = {"attempts": attempts, "nextAttemptTime": "2026-03-01T12:00:00Z", "lastError": error}
        report(world, "store", conditions=said, retry=retry)
    ended = here("wait", "store", "--timeout", "1s")
    assert ended.code == 1
    assert ended.err.count(f"{world.namespace}/store: waiting: AccessDenied: {text}") == 1


def test_a_stage_that_the_spec_does_not_have_is_not_waited_for(here: Run, world: World) -> None:
    world.create("store", stages=STAGES)
    make_ready(world, "store")
    ended = here("wait", "store", "--for", "stage=flet", "--timeout", "5m")
    assert ended.code == 1
    assert "there is no stage 'flet'; spec.stages has canary, half, fleet" in ended.err


def test_a_suspended_plan_is_not_waited_for(here: Run, world: World) -> None:
    world.create("store")
    assert here("suspend", "store").code == 0
    report(world, "store", conditions=[("Ready", "Unknown", "Suspended", "spec.suspend is true")])
    ended = here("wait", "store", "--timeout", "5m")
    assert ended.code == 1
    assert "suspended: nothing is reconciled until `edgeplan resume`" in ended.err


# --- get ---


def test_one_plan_a_list_and_what_programs_get(here: Run, world: World) -> None:
    assert here("get").out == "no edge deployment plans\n"
    world.create("store", stages=STAGES, rollout=ROLLOUT)
    world.create("kiosk")
    stall(
        world, "store", stages=[{"stageName": "canary", "status": "FAILED", "devicesFailed": 3, "message": "no space"}]
    )
    lines = here("get").out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "kiosk", "store"]
    assert "Stalled: RolloutStopped" in lines[2]
    shown = here("get", "store").out
    assert "canary: no space" in shown
    assert "0/3, 3 failed" in shown
    assert json.loads(here("get", "store", "-o", "json").out)["spec"]["rollout"] == ROLLOUT
    listed = yaml.safe_load(here("get", "-o", "yaml").out)
    assert [(each["kind"], each["metadata"]["name"]) for each in listed["items"]] == [
        ("EdgeDeploymentPlan", "kiosk"),
        ("EdgeDeploymentPlan", "store"),
    ]
    assert here("get", "none").code == 1
    assert world.namespace in here("get", "-A").out


def test_what_get_prints_can_be_checked_and_applied_again(here: Run, edgeplan: Run, world: World) -> None:
    world.create("store", stages=STAGES, rollout=ROLLOUT)
    stall(world, "store")
    Path("store.yaml").write_text(here("get", "store", "-o", "yaml").out)
    assert edgeplan("validate", "store.yaml").code == 0


def test_the_right_to_read_objects_suffices_to_look_and_for_nothing_more(
    here: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create("store", stages=STAGES, rollout=ROLLOUT)
    stall(world, "store")
    kubectl, there = world.cluster.kubectl, f"--namespace={world.namespace}"
    kubectl("create", "serviceaccount", "reader", there)
    kubectl("create", "role", "reader", "--verb=get,list,watch", "--resource=edgedeploymentplans.edgeplan.dev", there)
    kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={world.namespace}:reader", there)
    monkeypatch.setenv("KUBECONFIG", str(world.cluster.service_account_kubeconfig(world.namespace, "reader")))
    shown = here("get", "store")
    assert shown.code == 0
    assert "events: reading them is not allowed" in shown.out
    assert here("wait", "store").code == 1
    refused = here("promote", "store", "--live")
    assert refused.code == 2
    assert re.fullmatch(r"error: .* 403 Forbidden: .*cannot patch resource.*\n", refused.err)
    assert here("get", "-A").code == 2
    told = here("check", "--skip-aws")
    assert told.code == 0
    assert "you may not read its schema" in told.out


def watching(world: World, width: int) -> tuple[subprocess.Popen[bytes], int]:
    """`edgeplan get -w` in a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    command = [sys.executable, "-m", "controller.cli", "get", "-w", "store", "-n", world.namespace]
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path(__file__).parents[2])}
    for name in ("COLUMNS", "NO_COLOR", "CI"):
        environment.pop(name, None)
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    return process, ours


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.usefixtures("sandbox")
def test_a_rollout_that_fails_is_seen_to_do_so_in_a_terminal(world: World, width: int) -> None:
    world.create("store", stages=STAGES, rollout=ROLLOUT)
    process, terminal = watching(world, width)
    seen = bytearray()

    def read() -> None:
        try:
            while data := os.read(terminal, 4096):
                seen.extend(data)
        except OSError:  # the other side is closed
            return

    reading = threading.Thread(target=read)
    reading.start()
    try:
        wait_until(lambda: b"no operator has looked at it yet" in seen, seconds=60)
        under_way = [("Ready", "False", "RolloutProgressing", "x"), ("Reconciling", "True", "RolloutProgressing", "x")]
        row = {"stageName": "canary", "status": "INPROGRESS", "devicesSucceeded": 3, "devicesPending": 7}
        report(world, "store", conditions=under_way, stages=[row])
        wait_until(lambda: b"3/10" in seen, seconds=60)
        stall(world, "store", stages=[row | {"status": "FAILED", "devicesPending": 0, "devicesFailed": 7}])
        wait_until(lambda: b"7 failed" in seen, seconds=60)
        world.delete("store")
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.wait()
        reading.join(60)
        os.close(terminal)
    uncoloured = re.sub(rb"\x1b\[[0-9;]*m", b"", bytes(seen))
    lines = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|\r", b"\n", uncoloured).decode().splitlines()
    assert max(map(len, lines)) <= width
    assert any("█" * (4 if width == 80 else 9) + "x" in line for line in lines)
    assert b"\x1b[1;31m" in seen, "a failure is red"


def test_without_a_terminal_each_change_is_printed_below_the_one_before(world: World, sandbox: Sandbox) -> None:
    assert sandbox.url
    world.create("store")
    command = [sys.executable, "-m", "controller.cli", "get", "-w", "store", "-n", world.namespace]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        assert "Waiting" in process.stdout.readline()
        stall(world, "store")
        world._patch("store", {"metadata": {"labels": {"team": "a"}}})
        world.delete("store")
        out, err = process.communicate(timeout=60)
    assert out.count(f"{world.namespace}/store  Stalled: RolloutStopped") == 1, "labels are not shown"
    assert "\x1b" not in out
    assert "is gone" in err
    assert process.returncode == 1


def test_another_context_may_be_named_and_has_its_own_namespace(
    edgeplan: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create("store")
    config = yaml.safe_load(world.cluster.kubeconfig.read_text())
    (known,) = config["contexts"]
    config["contexts"].append({"name": "shops", "context": known["context"] | {"namespace": world.namespace}})
    Path("kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(Path("kubeconfig").absolute()))
    assert edgeplan("get", "store").code == 1
    assert edgeplan("get", "store", "--context", "shops").code == 0
    refused = edgeplan("get", "--context", "none")
    assert refused.code == 2
    assert refused.err.startswith("error: no way to reach a cluster: Invalid kube-config file.")


# --- the verbs that change something ---


def test_promotion_of_the_object_goes_stage_by_stage(here: Run, world: World) -> None:
    world.create("store", stages=STAGES, rollout=ROLLOUT)
    assert here("promote", "store", "--live").out == f"{world.namespace}/store: promoted to half\n"
    assert here("promote", "store", "--live").code == 0
    ended = here("promote", "store", "--live")
    assert (ended.code, ended.err) == (1, "error: store: fleet is the last stage: all may start already\n")
    assert (world.get("store") or {})["spec"]["rollout"]["throughStage"] == "fleet"


def test_promotion_of_a_rollout_with_a_failed_stage_says_what_has_to_come_before(here: Run, world: World) -> None:
    world.create("store", stages=STAGES, rollout=ROLLOUT)
    failed = {"stageName": "canary", "status": "FAILED", "devicesSucceeded": 0, "devicesPending": 0, "devicesFailed": 2}
    stall(world, "store", stages=[failed])
    ended = here("promote", "store", "--live")
    assert (ended.code, ended.out) == (0, f"{world.namespace}/store: promoted to half\n")
    assert (
        "stage canary is FAILED: once `edgeplan retry` has it start again and it ends well, half follows" in ended.err
    )


def test_suspending_and_resuming_leave_the_spec_as_it_was(here: Run, world: World) -> None:
    before = world.create("store")["spec"]
    assert here("suspend", "store").out == f"{world.namespace}/store: suspended\n"
    assert (world.get("store") or {})["spec"] == before | {"suspend": True}
    assert "suspended already" in here("suspend", "store").out
    assert here("resume", "store").out == f"{world.namespace}/store: resumed\n"
    assert (world.get("store") or {})["spec"] == before
    assert "was not suspended" in here("resume", "store").out


def test_suspending_a_rollout_says_that_what_has_begun_goes_on(here: Run, world: World) -> None:
    world.create("store", stages=STAGES)
    stages = [
        {"stageName": "canary", "status": "INPROGRESS", "devicesSucceeded": 0, "devicesPending": 1, "devicesFailed": 0}
    ]
    make_ready(world, "store", stages=stages)
    told = here("suspend", "store").out
    assert told.startswith(f"{world.namespace}/store: suspended; a stage that has begun goes on in AWS")
    assert "no bound of the rollout stops it" in told


def test_a_reconcile_without_an_operator_is_asked_for_and_not_carried_out(here: Run, world: World) -> None:
    world.create("store")
    assert here("reconcile", "store").out == f"{world.namespace}/store: asked for a reconcile\n"
    ended = here("reconcile", "store", "--wait", "--timeout", "1s")
    assert ended.code == 1
    assert "not taken up after 1s: is an operator running?" in ended.err
    assert here("retry", "store").code == 1
    assert here("reconcile", "none").code == 1


def test_a_request_that_takes_longer_tells_how_far_it_came(here: Run, world: World) -> None:
    world.create("store")

    def take_up() -> None:
        token = (world.get("store") or {})["metadata"]["annotations"][RECONCILE_ANNOTATION]
        text = "stage canary is INPROGRESS"
        said = [
            (kind, value, "RolloutProgressing", text) for kind, value in (("Ready", "False"), ("Reconciling", "True"))
        ]
        report(world, "store", conditions=said, lastHandledReconcileAt=token)

    with a_moment_later(take_up):
        ended = here("reconcile", "store", "--wait", "--timeout", "3s")
    assert ended.code == 1
    assert "taken up, and not at its end after 3s: RolloutProgressing: stage canary is INPROGRESS" in ended.err


def test_a_plans_life_by_the_command_line(here: Run, edgeplan: Run, sandbox: Sandbox, world: World) -> None:
    with world.operator():
        world.create("store")
        assert here("wait", "store", "--timeout", "2m").code == 0
        assert "Created plan store" in wait_until(lambda: here("events", "store").out, seconds=60)
        told = here("reconcile", "store", "--wait", "--timeout", "2m")
        assert (told.code, told.out) == (
            0,
            f"{world.namespace}/store: Ready: InSync: AWS holds the plan as specified\n",
        )
        retried = here("retry", "store")
        assert (retried.code, retried.err) == (
            1,
            f"error: {world.namespace}/store: there is nothing to try again: Ready: InSync\n",
        )
        world.edit("store", deviceFleetName="other")
        stalled = here("wait", "store", "--timeout", "2m")
        assert stalled.code == 1
        assert "Stalled: ImmutableFieldChanged" in stalled.err
        again = here("retry", "store", "--wait", "--timeout", "2m")
        assert again.code == 1
        assert "Stalled: ImmutableFieldChanged" in again.err
        here("suspend", "store")
        idle = here("reconcile", "store", "--wait", "--timeout", "2m")
        assert (idle.code, idle.err) == (
            1,
            f"error: {world.namespace}/store: suspended: nothing is reconciled until `edgeplan resume`\n",
        )
    assert edgeplan("orphans", "--cluster-id", "test").code == 0
    # Somebody takes the finalizer off by hand.
    path = f"{COLLECTION.format(world.namespace)}/store"
    off = {"metadata": {"finalizers": None}}
    world.cluster.client.request("PATCH", path, off, "application/merge-patch+json")
    world.delete("store")
    world.wait_gone("store")
    other = edgeplan("orphans", "--cluster-id", "other")
    assert other.code == 0
    assert "note: eu-west-1: 1 plan carries the tag of cluster test, this is other (--cluster-id)" in other.err
    left = edgeplan("orphans", "--cluster-id", "test")
    assert left.code == 1
    assert left.out.startswith(f"store (eu-west-1): left by {world.namespace}/store, uid ")
    (orphan,) = json.loads(edgeplan("orphans", "--cluster-id", "test", "-o", "json").out)
    assert orphan["arn"] == sandbox.plan("store")["EdgeDeploymentPlanArn"]
    assert edgeplan("orphans", "--cluster-id", "another").code == 0


def test_orphans_without_a_cluster_are_not_guessed(edgeplan: Run) -> None:
    ended = edgeplan("orphans")
    assert ended.code == 2
    assert ended.err.startswith("error: no way to reach a cluster")


# --- check ---


def test_all_that_is_there_is_checked_and_nothing_is_written(
    here: Run, at_aws: Callable[..., str], sandbox: Sandbox
) -> None:
    at_aws()
    told = here("check")
    assert "✓ cluster: Kubernetes v" in told.out
    assert "✓ definition: edgeplan.dev/v1alpha1 is served, with the schema of this version" in told.out
    assert re.search(
        r"✓ AWS eu-west-1: account \d{12}; allowed: .*ListTags, ListStageDevices, "
        r"DescribeDeviceFleet, DescribeEdgePackagingJob, DescribeDevice",
        told.out,
    )
    assert told.code == 0
    assert {name for name in sandbox.counts() if not name.startswith(("Describe", "List", "GetCaller"))} == set()


def test_an_aws_that_refuses_is_told_with_the_action(edgeplan: Run, sandbox: Sandbox) -> None:
    sandbox.fault("ListEdgeDeploymentPlans", error="AccessDeniedException", status=400)
    told = edgeplan("check", "--skip-cluster")
    assert told.code == 1
    assert "✗ AWS eu-west-1: AccessDeniedException" in told.out
    assert "sagemaker:ListEdgeDeploymentPlans" in told.out


def test_a_cluster_that_is_not_there_is_wrong(edgeplan: Run) -> None:
    told = edgeplan("check", "--skip-aws")
    assert told.code == 1
    assert told.out.startswith("✗ cluster: no way to reach a cluster")


ACCOUNTS = """\
emea: {roleArn: "arn:aws:iam::111122223333:role/edgeplan", regions: [eu-central-1, eu-west-1]}
"""


@pytest.mark.parametrize(
    ("own", "regions", "expected"),
    [
        ("{}", (), [("default", "eu-west-1"), ("emea", "eu-central-1"), ("emea", "eu-west-1")]),
        ("{}", ("us-east-1",), [("default", "eu-west-1"), ("default", "us-east-1"), ("emea", "eu-central-1"), ("emea", "eu-west-1")]),
        ("{enabled: false}", (), [("emea", "eu-central-1"), ("emea", "eu-west-1")]),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("sandbox")
def test_every_account_and_region_that_is_open_is_looked_at(
    own: str, regions: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    Path("own.yaml").write_text(own)
    Path("accounts.yaml").write_text(ACCOUNTS)
    assert scopes_of(AwsFlags(None, None, regions, (), Path("own.yaml"), Path("accounts.yaml"))) == expected


def test_a_definition_of_another_version_is_wrong() -> None:
    body = custom_resource_definition()
    assert judge_definition(body).level == "good"
    (version,) = body["spec"]["versions"]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop("suspend")
    assert judge_definition(body).text.endswith("its schema is not that of this version")
    version["served"] = False
    assert judge_definition(body).level == "bad"
    assert "being deleted" in judge_definition({**body, "metadata": {"deletionTimestamp": "now"}}).text


def test_a_leader_is_known_by_the_lease_of_its_deployment(here: Run, world: World, sandbox: Sandbox) -> None:
    assert sandbox.url
    lease, name = f"{world.namespace}/edgeplan", f"edgeplan-{world.namespace}"[:60].strip("-")
    labels = {"app.kubernetes.io/name": "edgeplan", "app": name}
    pod = {"containers": [{"name": "operator", "image": "edgeplan:0.1.0", "args": ["run", f"--lease={lease}"]}]}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": spec}
    path = f"/apis/apps/v1/namespaces/{world.namespace}/deployments"
    client = world.cluster.client
    client.request("POST", path, body)
    counts = {"status": {"replicas": 1, "readyReplicas": 1}}
    client.request("PATCH", f"{path}/{name}/status", counts, "application/merge-patch+json")
    try:
        told = here("check", "--skip-aws")
        assert f"✗ leader: there is no lease {lease}" in told.out
        assert told.code == 1
        with world.operator(lease=lease):
            out = wait_until(lambda: _unless(here("check", "--skip-aws").out, "✗"), seconds=60)
        assert re.search(rf"✓ leader: \S+ holds the lease {lease}, renewed \d+s ago by this clock\n", out)
        assert f"✓ operator: {world.namespace}/{name}: 1 of 1 ready (edgeplan:0.1.0)" in out
        assert f"✗ leader: nobody holds the lease {lease}" in here("check", "--skip-aws").out
    finally:
        client.request("DELETE", f"{path}/{name}")


def _unless(text: str, mark: str) -> str:
    return "" if mark in text else text


def test_a_lease_that_is_not_renewed_is_no_leader() -> None:
    spec = {"holderIdentity": "pod-1/x", "leaseDurationSeconds": 12, "renewTime": "2026-03-01T12:00:00.000000Z"}
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert judge_leader("a/b", spec, start + timedelta(seconds=30)).level == "good"
    over = judge_leader("a/b", spec, start + timedelta(seconds=61))
    assert (over.level, over.text) == ("bad", "pod-1/x holds the lease a/b and has not renewed it for 1m1s")


def deployment(ready: int) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "edgeplan-system", "name": "edgeplan"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": "edgeplan:0.1.0"}]}}},
        "status": {"readyReplicas": ready} if ready else {},
    }


@pytest.mark.parametrize(
    ("deployments", "level", "words"),
    [
        ([], "unknown", "no Deployment"),
        ([deployment(1)], "good", "edgeplan-system/edgeplan: 1 of 1 ready (edgeplan:0.1.0)"),
        ([deployment(0)], "bad", "0 of 1 ready"),
    ],
)
def test_an_operator_is_up_when_a_pod_of_it_is_ready(deployments: list[Any], level: str, words: str) -> None:
    found = judge_operator(deployments)
    assert found.level == level
    assert words in found.text
