"""What `edgeplan get` shows of fixed objects, at 80 and at 160 columns."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from controller.cluster.access import Occurrence
from controller.commands.documents import troubleshooting
from controller.commands.get import make_console
from controller.commands.view import bar, detail, length, overview, state
from controller.domain.reasons import Reason
from controller.domain.resource import Resource, parse
from controller.domain.status import StageState
from tests.commands.conftest import golden
from tests.pages import LAST_WORDS, anchors

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:edge-deployment/store-cameras"


def at(**ago: float) -> str:
    return (NOW - timedelta(**ago)).isoformat()


def stage(name: str, status: str, succeeded: int = 0, pending: int = 0, failed: int = 0, **more: Any) -> dict[str, Any]:
    counts = {"devicesSucceeded": succeeded, "devicesPending": pending, "devicesFailed": failed}
    return {"stageName": name, "status": status, **counts, **more}


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": kind, "status": status, "reason": reason, "message": message,
        "observedGeneration": 3, "lastTransitionTime": at(minutes=5),
    }  # fmt: skip


def spec_stage(name: str) -> dict[str, Any]:
    return {"stageName": name, "deviceSelectionConfig": {"deviceSubsetType": "PERCENTAGE", "percentage": 10}}


def resource(
    *conditions: dict[str, Any], spec: dict[str, Any] | None = None, name: str = "store-cameras", **status: Any
) -> Resource:
    return parse(
        {
            "metadata": {
                "name": name, "namespace": "retail", "uid": "6c3f5c9e", "generation": 3, "resourceVersion": "17",
                "creationTimestamp": at(hours=26),
            },
            "spec": {
                "modelConfigs": [{"modelHandle": "counter", "edgePackagingJobName": "counter-v7"}],
                "deviceFleetName": "store-cameras",
                "stages": [spec_stage(each) for each in ("canary", "half", "fleet")],
            }
            | (spec or {}),
            "status": {"observedGeneration": 3, "conditions": [*conditions], **status},
        }
    )  # fmt: skip


def rollout(through: str = "half", **more: Any) -> dict[str, Any]:
    return {"rollout": {"strategy": "Sequential", "throughStage": through, **more}}


def ready(status: str, reason: str, message: str) -> dict[str, Any]:
    return condition("Ready", status, reason, message)


FAILED = "stage half: 12 of 100 devices failed, over maxFailedPercent 10; the stage was stopped"
WORDS = "device till-0007: ModelPackageExtractionFailed: no space left on device; 11 more devices failed likewise"
FAILED_STAGE = "stage canary is FAILED: 3 succeeded, 0 pending, 7 failed; till-0007: no space left on device"
LONG = (
    "ModelVerificationFailed: the SHA-256 of the model's archive is not the one that the packaging job signed, after "
    "three downloads of 1.2 GB each; the device keeps people-counter-v6"
)
QUOTA = "4th of 4 waiting for quota (3 of 3 used): account limit of 3 edge deployment plans reached"

OBJECTS = {
    "baking": resource(
        ready("False", "Baking", "stage canary is DEPLOYED and bakes for 30m before the next one"),
        condition("Reconciling", "True", "Baking", "stage canary is DEPLOYED and bakes for 30m before the next one"),
        spec=rollout(bakeTime="30m", progressDeadline="2h"),
        edgeDeploymentPlanArn=ARN,
        stages=[
            stage("canary", "DEPLOYED", 10, deployedTime=at(minutes=17, seconds=48)),
            stage("half", "READYTODEPLOY", 0, 90),
            stage("fleet", "READYTODEPLOY", 0, 900),
        ],
    ),
    "failed": resource(
        ready("False", "RolloutStopped", FAILED),
        condition("Stalled", "True", "RolloutStopped", FAILED),
        spec=rollout(bakeTime="30m"),
        edgeDeploymentPlanArn=ARN,
        stages=[
            stage("canary", "DEPLOYED", 10, deployedTime=at(hours=2)),
            stage("half", "STOPPED", 60, 28, 12, message=WORDS),
            stage("fleet", "READYTODEPLOY", 0, 900),
        ],
    ),
    "failed_devices": resource(
        ready("False", "StageFailed", FAILED_STAGE),
        condition("Stalled", "True", "StageFailed", FAILED_STAGE),
        spec=rollout("canary"),
        edgeDeploymentPlanArn=ARN,
        stages=[
            stage(
                "canary",
                "FAILED",
                3,
                failed=7,
                message="7 of 10 devices failed",
                failedDevices=[
                    {"deviceName": "till-0007", "message": "ModelPackageExtractionFailed: no space left on device"},
                    {"deviceName": "camera-of-the-loading-bay-at-the-back-of-the-shop-in-eindhoven", "message": LONG},
                    {"deviceName": "till-0009"},
                ],
            ),
            stage("half", "READYTODEPLOY", 0, 90),
        ],
    ),
    "under_way": resource(
        ready("False", "RolloutProgressing", "stage half is INPROGRESS"),
        condition("Reconciling", "True", "RolloutProgressing", "stage half is INPROGRESS"),
        spec=rollout(progressDeadline="2h"),
        edgeDeploymentPlanArn=ARN,
        stages=[
            stage("canary", "DEPLOYED", 10),
            stage("half", "INPROGRESS", 45, 54, 1, startTime=at(minutes=42)),
            stage("fleet", "READYTODEPLOY", 0, 900),
        ],
    ),
    "quota": resource(
        ready("False", "ResourceLimitExceeded", QUOTA),
        condition("Reconciling", "True", "ProgressingWithRetry", QUOTA),
        condition("ResourceLimitExceeded", "True", "WaitingForQuota", QUOTA),
        retry={
            "attempts": 4,
            "nextAttemptTime": (NOW + timedelta(seconds=73)).isoformat(),
            "lastError": {
                "code": "ResourceLimitExceeded",
                "message": "account limit of 3 edge deployment plans reached",
                "requestId": "0b9e7a3e",
            },
        },
    ),
    "observed": resource(
        ready("False", "ChangesPending", "AWS differs from the spec; Manage would call AddTags(team=retail)"),
        spec={"policy": {"management": "Observe"}},
        edgeDeploymentPlanArn=ARN,
        pendingChanges=["AddTags(team=retail)"],
    ),
    "suspended": resource(
        ready("Unknown", "Suspended", "spec.suspend is true: nothing is reconciled"), spec={"suspend": True}
    ),
    "ready": resource(
        ready("True", "RolloutComplete", "all stages are DEPLOYED"),
        spec=rollout("fleet"),
        edgeDeploymentPlanArn=ARN,
        stagesDeployed="3/3",
        devices={"succeeded": 1000, "pending": 0, "failed": 0},
        stages=[stage("canary", "DEPLOYED", 10), stage("half", "DEPLOYED", 90), stage("fleet", "DEPLOYED", 900)],
    ),
}
EVENTS = [
    Occurrence(NOW - timedelta(minutes=61), "Normal", "Created", "CreatePlan(store-cameras)", "store-cameras"),
    Occurrence(NOW - timedelta(minutes=9), "Normal", "StageStarted", "StartStage(half)", "store-cameras", 2),
    Occurrence(NOW - timedelta(seconds=40), "Warning", "RolloutStopped", FAILED, "store-cameras"),
]


def text_of(shown: RenderableType, width: int) -> str:
    written = io.StringIO()
    Console(file=written, width=width, highlight=False).print(shown)
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", OBJECTS)
def test_a_plan_looks_as_it_should(name: str, width: int) -> None:
    shown = text_of(detail(OBJECTS[name], EVENTS if name == "failed" else [], NOW, width), width)
    golden(f"get/{name}-{width}.txt", shown)
    assert max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize("width", [80, 160])
def test_many_plans_are_a_line_each(width: int) -> None:
    plans = [resource(*_conditions(one), name=name, **_sums(one)) for name, one in OBJECTS.items()]
    shown = text_of(overview(plans, NOW, width, with_namespace=True), width)
    golden(f"get/overview-{width}.txt", shown)
    assert max(map(len, shown.splitlines())) <= width


def _conditions(one: Resource) -> list[dict[str, Any]]:
    return [each.wire() for each in one.status.conditions]


def _sums(one: Resource) -> dict[str, Any]:
    wire = one.status.wire()
    return {key: wire[key] for key in ("stagesDeployed", "devices") if key in wire}


def test_nothing_is_said_to_be_nothing() -> None:
    assert text_of(overview([], NOW, 80, with_namespace=False), 80) == "no edge deployment plans\n"


@pytest.mark.parametrize(
    ("succeeded", "failed", "pending", "expected"),
    [
        (10, 0, 0, "██████████"),
        (0, 0, 10, "░░░░░░░░░░"),
        (5, 0, 5, "█████░░░░░"),
        (999, 1, 0, "█████████x"),
        (1, 0, 999, "█░░░░░░░░░"),
        (1, 1, 998, "█x░░░░░░░░"),
        (0, 3, 0, "xxxxxxxxxx"),
        (0, 0, 0, "··········"),
        (1, 1, 1, "████xxx░░░"),
    ],
)
def test_a_bar_has_its_width_and_shows_every_kind_of_device(
    succeeded: int, failed: int, pending: int, expected: str
) -> None:
    shown = StageState(
        stage_name="a",
        status="INPROGRESS",
        devices_succeeded=succeeded,
        devices_failed=failed,
        devices_pending=pending,
    )
    assert bar(shown, 10).plain == expected


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(seconds=-5), "0s"),
        (timedelta(seconds=59), "59s"),
        (timedelta(seconds=61), "1m1s"),
        (timedelta(hours=2), "2h"),
        (timedelta(days=3, hours=1, minutes=4), "3d1h"),
    ],
)
def test_a_length_has_its_two_largest_units(time: timedelta, words: str) -> None:
    assert length(time) == words


def test_devices_that_failed_are_named_with_the_words_of_aws_at_any_width() -> None:
    for width in (80, 160):
        shown = " ".join(text_of(detail(OBJECTS["failed_devices"], [], NOW, width), width).split())
        for words in (
            "canary: x till-0007: ModelPackage",
            "eindhoven: ModelVerificationFailed:",
            "keeps people-counter-v6",
        ):
            assert words in shown
        assert "canary: x till-0009" in shown


@pytest.mark.parametrize("site", ["", "https://docs.example.com/edgeplan/"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("failed", "rolloutstopped"),
        ("quota", "resourcelimitexceeded"),
        ("observed", "changespending"),
        ("suspended", "suspended"),
        ("baking", None),
        ("ready", None),
    ],
)
def test_what_is_wrong_leads_to_its_section(
    site: str, name: str, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPLAN_DOCS_URL", site)
    page = "https://docs.example.com/edgeplan/troubleshooting.html" if site else "docs/troubleshooting.md"
    assert troubleshooting(OBJECTS[name]) == (f"{page}#{reason}" if reason else None)


def test_what_nobody_has_looked_at_leads_to_a_section_of_its_own() -> None:
    link = troubleshooting(resource())
    assert link == "docs/troubleshooting.md#no-reason-at-all"
    page = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
    assert link.partition("#")[2] in anchors(page.read_text(encoding="utf-8"))


def test_every_link_leads_to_a_heading_of_the_page() -> None:
    page = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
    headings = anchors(page.read_text(encoding="utf-8"))
    for reason in set(Reason) - LAST_WORDS:
        stalled = [ready("False", reason, "x"), condition("Stalled", "True", reason, "x")]
        link = troubleshooting(resource(*stalled))
        assert link is not None
        path, _, anchor = link.partition("#")
        assert (Path(__file__).parents[2] / path, anchor in headings) == (page, True), link


def test_a_reason_of_another_version_leads_nowhere() -> None:
    stalled = [ready("False", "Novel", "x"), condition("Stalled", "True", "Novel", "x")]
    assert troubleshooting(resource(*stalled)) is None


def test_what_was_said_of_an_earlier_spec_is_not_the_state() -> None:
    stalled = [ready("False", "StageFailed", "x"), condition("Stalled", "True", "StageFailed", "x")]
    assert state(resource(*stalled)).word == "Stalled: StageFailed"
    assert state(resource(*stalled, observedGeneration=2)).word == "Waiting"
    assert state(replace(resource(*stalled), deleting=True)).word == "Deleting, Stalled: StageFailed"


def test_a_failure_of_events_is_no_lack_of_them() -> None:
    assert "reading them is not allowed" in text_of(detail(OBJECTS["ready"], None, NOW, 80), 80)


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "NO_COLOR"])
def test_colours_are_for_who_wants_them(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(variable, "1")
    make_console().print(detail(OBJECTS["failed"], [], NOW, 80))
    red = "31m" in capsys.readouterr().out
    assert red == (variable == "FORCE_COLOR")
