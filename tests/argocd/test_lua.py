"""The Lua that ships, run offline by Argo CD over statuses made by the project's own `summarize`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.argocd.programs import argocd
from tests.kstatus.states import Body, objects

ROOT = Path(__file__).parents[2] / "argocd"
CONFIG_MAP = ROOT / "argocd-cm.yaml"
SCRIPTS = ROOT / "resource_customizations" / "edgeplan.dev" / "EdgeDeploymentPlan"
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))
NEVER = "0001-01-01T00:00:00Z"

HEALTH = {
    "new": "Progressing",
    "edited-not-seen": "Progressing",
    "stalled-then-edited": "Progressing",
    "suspended-not-seen": "Progressing",
    "changing-stages": "Progressing",
    "rollout-progressing": "Progressing",
    "baking": "Progressing",
    "retrying": "Progressing",
    "retrying-while-ready": "Progressing",
    "quota-behind-others": "Progressing",
    "deleting": "Progressing",
    "in-sync": "Healthy",
    "rollout-complete": "Healthy",
    "quota-available": "Healthy",
    "observed-in-sync": "Healthy",
    "waiting-for-promotion": "Suspended",
    "changes-pending": "Suspended",
    "suspended": "Suspended",
    "not-owned": "Degraded",
    "stage-failed": "Degraded",
    "rollout-stopped": "Degraded",
    "quota-then-refused": "Degraded",
}

Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Call `argocd admin settings resource-overrides`; what it printed."""
    program, scratch = argocd(), tmp_path_factory.mktemp("argocd")
    environment = {
        **os.environ,
        "TMPDIR": str(scratch),  # it leaves its files there
        "KUBECTL_EXTERNAL_DIFF": """sh -c 'cat "$1"'""",  # show what an action makes of the object, not the difference
    }

    def call(command: str, obj: Body, *arguments: str) -> str:
        file = scratch / "object.yaml"
        file.write_text(yaml.safe_dump(obj))
        done = subprocess.run(
            [
                *(str(program), "admin", "settings", "resource-overrides", command, str(file), *arguments),
                *("--argocd-cm-path", str(CONFIG_MAP), "--loglevel", "error"),
            ],
            env=environment,
            text=True,
            capture_output=True,
            check=True,
        )
        return done.stdout

    return call


def health(run: Run, obj: Body) -> tuple[str, str]:
    """What the health check says. It exits with 0 even where there is no script: the lines have to be there."""
    status, message = run("health", obj).rstrip("\n").split("\n", 1)
    assert status.startswith("STATUS: "), status
    assert message.startswith("MESSAGE: "), message
    return status.removeprefix("STATUS: "), message.removeprefix("MESSAGE: ")


def in_step(path: Path, wanted: Any) -> None:
    """Compare a generated file with what it should be; UPDATE_GOLDEN=1 writes it."""
    if UPDATE:
        path.write_text(yaml.safe_dump(wanted, sort_keys=False, width=120))
    assert yaml.safe_load(path.read_text()) == wanted


def test_config_map_is_in_step_with_the_lua() -> None:
    done = subprocess.run([sys.executable, ROOT / "generate.py", "--check"], check=False)
    assert done.returncode == 0


def test_test_data_is_what_summarize_makes() -> None:
    for name in HEALTH:
        in_step(SCRIPTS / "testdata" / f"{name}.yaml", objects()[name])
    assert {path.stem for path in (SCRIPTS / "testdata").iterdir()} == HEALTH.keys()


def test_every_status_has_its_health(run: Run) -> None:
    tests = []
    for name, expected in HEALTH.items():
        status, message = health(run, objects()[name])
        assert status == expected, f"{name}: {message}"
        tests.append(
            {"healthStatus": {"status": status, "message": message}, "inputPath": f"testdata/{name}.yaml"},
        )
    in_step(SCRIPTS / "health_test.yaml", {"tests": tests})


@pytest.mark.parametrize("name", ["retrying-while-ready", "quota-then-refused"])
def test_order_of_the_conditions_is_of_no_matter(run: Run, name: str) -> None:
    obj = objects()[name]
    turned = {**obj, "status": {**obj["status"], "conditions": obj["status"]["conditions"][::-1]}}
    assert health(run, turned) == health(run, obj)


def test_object_without_status_or_conditions_is_progressing(run: Run) -> None:
    obj = objects()["in-sync"]
    assert health(run, {key: value for key, value in obj.items() if key != "status"})[0] == "Progressing"
    assert health(run, {**obj, "status": {"observedGeneration": 1}})[0] == "Progressing"


RUNNING, SUSPENDED, DELETING = objects()["in-sync"], objects()["suspended"], objects()["deleting"]


def resumed() -> Body:
    return {**SUSPENDED, "spec": {key: value for key, value in SUSPENDED["spec"].items() if key != "suspend"}}


def reconciled() -> Body:
    asked = {"annotations": {"edgeplan.dev/reconcile-requested-at": NEVER}}
    return {**RUNNING, "metadata": {**RUNNING["metadata"], **asked}}


ACTIONS = {
    "reconcile": ("running", "reconcile-requested", reconciled()),
    "suspend": ("running", "suspend-set", {**RUNNING, "spec": {**RUNNING["spec"], "suspend": True}}),
    "resume": ("suspended", "resumed", resumed()),
}
INPUTS = {"running": RUNNING, "suspended": SUSPENDED, "deleting": DELETING}
OFFERED = {"running": {"reconcile", "suspend"}, "suspended": {"resume"}, "deleting": set[str]()}


def test_action_tests_are_in_step() -> None:
    folder = SCRIPTS / "actions"
    for name, obj in INPUTS.items():
        in_step(folder / "testdata" / f"{name}.yaml", obj)
    for _, output, obj in ACTIONS.values():
        in_step(folder / "testdata" / f"{output}.yaml", obj)
    discovery = [
        {
            "inputPath": f"testdata/{name}.yaml",
            "result": [{"name": action, "disabled": action not in offered} for action in ACTIONS],
        }
        for name, offered in OFFERED.items()
    ]
    actions = [
        {
            "action": action,
            "inputPath": f"testdata/{before}.yaml",
            "expectedOutputPath": f"testdata/{after}.yaml",
        }
        for action, (before, after, _) in ACTIONS.items()
    ]
    in_step(folder / "action_test.yaml", {"discoveryTests": discovery, "actionTests": actions})


@pytest.mark.parametrize("name", INPUTS)
def test_actions_are_offered_where_they_make_sense(run: Run, name: str) -> None:
    rows = [line.split() for line in run("list-actions", INPUTS[name]).splitlines()]
    assert rows[0] == ["NAME", "DISABLED"]
    assert dict(rows[1:]) == {action: str(action not in OFFERED[name]).lower() for action in ACTIONS}


@pytest.mark.parametrize("action", ACTIONS)
def test_action_changes_what_it_says_and_nothing_else(run: Run, action: str) -> None:
    before, _, expected = ACTIONS[action]
    heading, text = run("run-action", INPUTS[before], action).split("\n\n", 1)
    assert heading == "Following fields have been changed:"
    changed = yaml.safe_load(text)
    annotations = changed["metadata"].get("annotations", {})
    if action == "reconcile":
        # As the API takes it: RFC 3339 in UTC.
        assert str(annotations["edgeplan.dev/reconcile-requested-at"]).startswith("20")
        assert str(annotations["edgeplan.dev/reconcile-requested-at"]).endswith("Z")
        annotations["edgeplan.dev/reconcile-requested-at"] = NEVER
    assert changed == expected
