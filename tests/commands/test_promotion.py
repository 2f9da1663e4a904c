"""`edgeplan promote NAME FILE`: the change of the manifest as git has it, and nothing else of the file changed."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.cli import main
from controller.schema.manifests import check
from tests.commands.conftest import Ended

Run = Callable[..., Ended]

PLAN = """\
apiVersion: edgeplan.dev/v1alpha1
kind: EdgeDeploymentPlan
metadata: {name: store, namespace: retail}
spec:
  modelConfigs: []
  deviceFleetName: store   # of all shops
  stages:
    - {stageName: canary, deviceSelectionConfig: {deviceSubsetType: PERCENTAGE, percentage: 1}}
    - {stageName: half, deviceSelectionConfig: {deviceSubsetType: PERCENTAGE, percentage: 50}}
    - {stageName: fleet, deviceSelectionConfig: {deviceSubsetType: PERCENTAGE, percentage: 100}}
  rollout:
    strategy: Sequential
    throughStage: canary  # the gate
    bakeTime: 30m
"""


@pytest.fixture
def promote(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `edgeplan promote ...` in an empty repository."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main(["promote", *arguments])
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run


def apply(change: str, folder: Path = Path()) -> None:
    subprocess.run(["git", "apply", "-"], input=change, text=True, check=True, cwd=folder)


def test_the_gate_moves_to_the_next_stage_and_nothing_else_changes(promote: Run) -> None:
    Path("plan.yaml").write_text(PLAN)
    ended = promote("store", "plan.yaml")
    assert ended.code == 0
    assert [line for line in ended.out.splitlines() if line[:1] in "+-" and line[:3] not in {"+++", "---"}] == [
        "-    throughStage: canary  # the gate",
        "+    throughStage: half  # the gate",
    ]
    assert Path("plan.yaml").read_text() == PLAN, "printing changes nothing"
    apply(ended.out)
    assert Path("plan.yaml").read_text() == PLAN.replace("throughStage: canary", "throughStage: half")


@pytest.mark.parametrize(
    "text",
    [
        PLAN.replace("throughStage: canary", "throughStage: 'canary'"),
        PLAN.replace("throughStage: canary", 'throughStage: "canary"'),
        PLAN.replace("\n", "\r\n"),
        PLAN.removesuffix("\n"),
        f"# shops\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: store}}\n---\n{PLAN}---\n# end\n",
        "apiVersion: v1\nkind: List\nitems:\n- " + PLAN.replace("\n", "\n  "),
    ],
    ids=["single quotes", "double quotes", "carriage returns", "no newline at the end", "several documents", "a list"],
)
def test_git_takes_the_change_however_the_manifest_is_written(promote: Run, text: str) -> None:
    file = Path("deep/plan.yaml")
    file.parent.mkdir()
    file.write_bytes(text.encode())
    ended = promote("store")  # finds it below the folder that it is called in
    assert ended.code == 0, ended.err
    Path("change.patch").write_bytes(ended.out.encode())
    subprocess.run(["git", "apply", "--whitespace=nowarn", "change.patch"], check=True)
    assert file.read_bytes().decode().count("half") == text.count("half") + 1
    assert check([file])[0] == []


def test_a_later_stage_may_be_named(promote: Run) -> None:
    Path("plan.yaml").write_text(PLAN)
    assert "+    throughStage: fleet" in promote("store", "--to", "fleet").out


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        (PLAN.replace("throughStage: canary", "throughStage: fleet"), (), "fleet is the last stage"),
        (PLAN.replace("    throughStage: canary  # the gate\n", ""), (), "all stages may start already"),
        (PLAN.partition("  rollout:")[0], (), "there is no spec.rollout"),
        (PLAN, ("--to", "canary"), "stage canary may start already"),
        (PLAN, ("--to", "rest"), "there is no stage 'rest': behind the gate come half, fleet"),
        (PLAN.replace("stageName: canary", "stageName: &c canary").replace(": canary  #", ": *c #"), (), "set spec.rollout"),
    ],
)  # fmt: skip
def test_what_cannot_be_promoted_says_why(promote: Run, text: str, arguments: tuple[str, ...], words: str) -> None:
    Path("plan.yaml").write_text(text)
    ended = promote("store", *arguments)
    assert (ended.code, ended.out) == (1, "")
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_which_manifest_is_meant_must_be_clear(promote: Run) -> None:
    assert promote("store").code == 2
    Path("plan.yaml").write_text(PLAN)
    Path("other.yaml").write_text(PLAN.replace("namespace: retail", "namespace: emea"))
    ended = promote("store")
    assert ended.code == 2
    assert "several manifests: other.yaml:1, plan.yaml:1" in ended.err
    assert "a/other.yaml" in promote("store", "-n", "emea").out


def test_a_manifest_that_is_not_valid_is_not_promoted(promote: Run) -> None:
    Path("plan.yaml").write_text(PLAN.replace("30m", "30x"))
    ended = promote("store")
    assert ended.code == 2
    assert "spec.rollout.bakeTime" in ended.err
