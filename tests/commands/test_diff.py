"""What `edgeplan diff` prints and answers, for every kind of difference."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_manager.sandbox.server import Sandbox
from tests.commands.conftest import GOLDEN, Ended, golden
from tests.pages import ROOT, blocks

Run = Callable[..., Ended]
READS = {"DescribeEdgeDeploymentPlan", "ListTags", "ListStageDevices"}
OWNER = "edgeplan.dev/owner"
OURS = {OWNER: "prod/retail/store/6c3f5c9e"}
CANARY = "{stageName: canary, deviceSelectionConfig: {deviceSubsetType: NAMECONTAINS, deviceNameContains: canary}}"
FLEET = "{stageName: fleet, deviceSelectionConfig: {deviceSubsetType: PERCENTAGE, percentage: 100}}"


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., str]:
    """Write store.yaml with these fields of the spec; the file's name."""

    def write(name: str = "store", stages: str = f"[{CANARY}, {FLEET}]", fleet: str = "store", **more: str) -> str:
        spec = {
            "modelConfigs": "[{modelHandle: counter, edgePackagingJobName: counter-v7}]",
            "deviceFleetName": fleet,
            "stages": stages,
        } | more
        (tmp_path / f"{name}.yaml").write_text(
            f"apiVersion: edgeplan.dev/v1alpha1\nkind: EdgeDeploymentPlan\nmetadata: {{name: {name}, "
            "namespace: retail}\nspec:\n" + "".join(f"  {field}: {value}\n" for field, value in spec.items())
        )
        return f"{name}.yaml"

    return write


def test_plan_that_aws_does_not_have_is_created(edgeplan: Run, manifest: Callable[..., str], sandbox: Sandbox) -> None:
    ended = edgeplan("diff", manifest(tags="[{key: team, value: retail}]"))
    golden("create.txt", ended.out)
    assert ended.code == 1
    assert sandbox.counts() == {"DescribeEdgeDeploymentPlan": 1}


def test_plan_that_is_as_specified_is_no_difference(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str], sandbox: Sandbox
) -> None:
    at_aws(tags=OURS | {"theirs": "kept"})
    ended = edgeplan("diff", manifest())
    assert ended.out == "retail/store (store.yaml:1): plan store in eu-west-1\n  = no difference\n"
    assert ended.code == 0
    assert sandbox.counts() == {"DescribeEdgeDeploymentPlan": 1, "ListTags": 1}


def test_changed_stage_is_replaced_with_all_after_it(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str], sandbox: Sandbox
) -> None:
    at_aws(tags=OURS)
    half = FLEET.replace("100", "50").replace("fleet", "half")
    ended = edgeplan("diff", manifest(stages=f"[{CANARY}, {half}, {FLEET}]", tags="[{key: team, value: retail}]"))
    golden("stages.txt", ended.out)
    assert ended.code == 1
    assert sandbox.counts().keys() <= READS


def test_rollout_is_foretold_to_its_gate(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str]
) -> None:
    at_aws(tags=OURS)
    last = "{stageName: rest, deviceSelectionConfig: {deviceSubsetType: PERCENTAGE, percentage: 100}}"
    rollout = "{strategy: Sequential, throughStage: fleet, bakeTime: 30m}"
    ended = edgeplan("diff", manifest(stages=f"[{CANARY}, {FLEET}, {last}]", rollout=rollout))
    golden("rollout.txt", ended.out)
    assert ended.code == 1


def test_rollout_under_way_with_nothing_left_to_start_is_no_difference(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str], sagemaker: Any
) -> None:
    at_aws(tags=OURS)
    sagemaker.start_edge_deployment_stage(EdgeDeploymentPlanName="store", StageName="canary")
    ended = edgeplan("diff", manifest(rollout="{strategy: Sequential, throughStage: canary}"))
    assert ended.out.splitlines()[1:] == [
        "  . until canary is DEPLOYED",
        "  = WaitingForPromotion: stages through canary are DEPLOYED; next is fleet",
    ]
    assert ended.code == 0


def test_immutable_change_is_refused_with_its_reason(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str]
) -> None:
    at_aws(tags=OURS)
    ended = edgeplan("diff", manifest(fleet="kiosks"))
    golden("immutable.txt", ended.out)
    assert ended.code == 1


def test_immutable_change_under_recreate_stops_deletes_and_creates(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str], sagemaker: Any
) -> None:
    at_aws(tags=OURS)
    sagemaker.start_edge_deployment_stage(EdgeDeploymentPlanName="store", StageName="canary")
    ended = edgeplan("diff", manifest(fleet="kiosks", policy="{replacement: Recreate}"))
    golden("recreate.txt", ended.out)
    assert ended.code == 1


def test_plan_of_nobody_is_refused_or_adopted(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str]
) -> None:
    at_aws()
    refused = edgeplan("diff", manifest())
    assert "! refused, NotOwned: AWS already has a plan store" in refused.out
    adopted = edgeplan("diff", "--cluster-id", "prod", manifest(policy="{adoption: Adopt}"))
    assert f"+ AddTags({OWNER}=prod/retail/store/<uid>)" in adopted.out
    assert (refused.code, adopted.code) == (1, 1)


def test_plan_of_another_object_is_refused(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str]
) -> None:
    at_aws(tags={OWNER: "prod/retail/other/1"})
    ended = edgeplan("diff", manifest())
    assert "belongs to the object retail/other (cluster prod, uid 1)" in ended.out
    assert ended.code == 1


def test_plan_of_the_same_object_in_another_cluster_is_refused(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str]
) -> None:
    at_aws(tags=OURS)
    assert "! refused, NotOwned" in edgeplan("diff", "--cluster-id", "test", manifest()).out


def test_observed_plan_shows_what_manage_would_call(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str]
) -> None:
    at_aws()
    ended = edgeplan("diff", manifest(stages=f"[{CANARY}]", policy="{management: Observe}"))
    golden("observe.txt", ended.out)
    assert ended.code == 1


def test_suspended_plan_is_no_difference(edgeplan: Run, manifest: Callable[..., str], sandbox: Sandbox) -> None:
    ended = edgeplan("diff", manifest(suspend="true"))
    assert "= spec.suspend is true: nothing is reconciled" in ended.out
    assert ended.code == 0
    assert sandbox.plans() == []


def test_several_manifests_come_in_the_order_given(edgeplan: Run, manifest: Callable[..., str]) -> None:
    files = [manifest(name) for name in ("zebra", "apple", "mango")]
    out = edgeplan("diff", *files).out
    *headers, totals = [line for line in out.splitlines() if not line.startswith(" ")]
    assert [line.split(" ")[0] for line in headers] == ["retail/zebra", "retail/apple", "retail/mango"]
    assert totals == "3 plans: 3 to change; 3 calls to AWS"
    assert edgeplan("diff", *files).out == out


def test_second_manifest_of_one_plan_is_refused(edgeplan: Run, manifest: Callable[..., str]) -> None:
    ended = edgeplan("diff", manifest("store"), manifest("shop", edgeDeploymentPlanName="store"))
    assert "! refused, NameConflict: the AWS plan store is that of retail/store too" in ended.out


def test_devices_that_aws_does_not_count_are_a_question_mark(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str], sandbox: Sandbox
) -> None:
    at_aws(tags=OURS)
    sandbox.fault("ListStageDevices", error="AccessDeniedException", status=400)
    ended = edgeplan("diff", manifest(fleet="kiosks"))
    assert "canary  READYTODEPLOY  ?        NAMECONTAINS canary" in ended.out
    assert "sagemaker:ListStageDevices" in ended.err
    assert ended.code == 1


def test_bad_manifest_prints_its_problems_and_asks_aws_nothing(
    edgeplan: Run, manifest: Callable[..., str], sandbox: Sandbox
) -> None:
    ended = edgeplan("diff", manifest("good"), manifest(stagess="[]"))
    assert ended.out == "store.yaml:8: spec.stagess: unknown field: did you mean stages?\n"
    assert (ended.code, sandbox.counts()) == (2, {})


def test_missing_file_is_an_error(edgeplan: Run) -> None:
    ended = edgeplan("diff", "nowhere.yaml")
    assert "nowhere.yaml:1: cannot be read" in ended.out
    assert ended.code == 2


def test_refusal_by_aws_names_operation_and_code_and_the_others_are_shown(
    edgeplan: Run, manifest: Callable[..., str], sandbox: Sandbox
) -> None:
    sandbox.fault(
        "DescribeEdgeDeploymentPlan", error="AccessDeniedException", message="no", status=400, name_contains="store"
    )
    ended = edgeplan("diff", manifest("store"), manifest("shop"))
    assert "error: retail/store (store.yaml:1): AccessDeniedException: no" in ended.err
    assert "sagemaker:DescribeEdgeDeploymentPlan" in ended.err
    assert "+ CreatePlan(shop on fleet store: canary, fleet)" in ended.out
    assert ended.code == 2


def test_calls_are_coloured_on_a_terminal(
    edgeplan: Run, manifest: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m  + CreatePlan(store on fleet store: canary, fleet)\x1b[0m" in edgeplan("diff", manifest()).out


def test_no_region_is_an_error(edgeplan: Run, manifest: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    ended = edgeplan("diff", manifest())
    assert "no AWS region" in ended.err
    assert ended.code == 2


def test_example_of_the_documentation_is_the_real_output() -> None:
    document = Path(__file__).parents[2] / "docs" / "diff-and-export.md"
    assert (GOLDEN / "rollout.txt").read_text() in document.read_text()


def test_a_program_gets_each_plan_with_its_steps(
    edgeplan: Run, manifest: Callable[..., str], at_aws: Callable[..., str]
) -> None:
    at_aws(tags=OURS)
    ended = edgeplan("diff", "-o", "json", manifest(tags="[{key: team, value: retail}]"), manifest("other"))
    store, other = json.loads(ended.out)["plans"]
    assert (store["namespace"], store["name"], store["region"], store["exists"]) == (
        "retail",
        "store",
        "eu-west-1",
        True,
    )
    assert store["steps"] == [
        {"call": "AddTags", "text": "AddTags(team=retail)"},
        {"end": "AWS holds the plan as specified"},
    ]
    assert (other["exists"], other["differs"], other["refused"]) == (False, True, False)
    assert ended.code == 1


@pytest.mark.parametrize(("fleet", "code"), [("store", 0), ("kiosks", 1)])
def test_pull_request_check_md_refuses_what_deletes_a_plan(
    fleet: str, code: int, manifest: Callable[..., str], at_aws: Callable[..., str], tmp_path: Path
) -> None:
    at_aws(tags={OWNER: "shops/retail/store/6c3f5c9e"})
    (tmp_path / "plans").mkdir()
    Path(manifest(fleet=fleet, policy="{replacement: Recreate}")).rename(tmp_path / "plans" / "store.yaml")
    (check,) = [block for block in blocks(ROOT / "docs" / "pull-request-check.md") if block.how == "run"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        ["sh", "-ec", check.script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert ("this deletes a plan" in done.stderr) is bool(code)
