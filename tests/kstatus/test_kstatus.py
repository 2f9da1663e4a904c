"""Every kind of status, judged by kstatus' own code: a golden file by name, and the rule behind it for all combinations."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from controller.domain.actions import DeleteStage
from controller.domain.outcomes import Done, Outcome, Pending, Queued, Retrying, Stalled, Suspended, Waiting
from controller.domain.reasons import Reason
from tests.kstatus import states
from tests.kstatus.states import Body, after, at_aws, objects

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.txt"

Judge = Callable[[list[Body]], list[tuple[str, str]]]

# The first compilation of kstatus takes a minute or two of one processor; Go keeps it in its cache.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def kstatus(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """kstatus as a function of objects."""
    if shutil.which("go") is None:
        pytest.skip("kstatus is compiled from its source: there is no Go on this machine")
    program = tmp_path_factory.mktemp("kstatus") / "kstatus"
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off", "CGO_ENABLED": "0"}
    built = subprocess.run(
        ["go", "build", "-o", str(program), "."],
        cwd=HERE,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr

    def judge(bodies: list[Body]) -> list[tuple[str, str]]:
        done = subprocess.run([program], input=json.dumps(bodies), text=True, capture_output=True, check=True)
        return [(answer["status"], answer["message"]) for answer in json.loads(done.stdout)]

    return judge


def test_every_kind_of_status_reads_as_it_should(kstatus: Judge) -> None:
    known = objects()
    verdicts = zip(known, kstatus(list(known.values())), strict=True)
    text = "".join(f"{name:<24}{verdict:<12}{message}\n" for name, (verdict, message) in verdicts)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


OUTCOMES: dict[str, tuple[Outcome, str]] = {
    "done": (Done(Reason.IN_SYNC, "as specified"), "Current"),
    "waiting": (Waiting(timedelta(seconds=5), Reason.ROLLOUT_PROGRESSING, "starting"), "InProgress"),
    "retrying": (Retrying(states.BROKEN, timedelta(seconds=1), 1), "InProgress"),
    "throttled": (Retrying(states.THROTTLED, timedelta(seconds=1), 0), "InProgress"),
    "first in the queue": (Queued(0, timedelta(seconds=1), 1, states.QUOTA), "InProgress"),
    "behind in the queue": (Queued(3, timedelta(seconds=1), 0, states.QUOTA), "InProgress"),
    "stalled": (Stalled(Reason.NOT_OWNED, "not ours"), "Failed"),
    "refused": (Stalled(Reason.REFUSED_BY_AWS, "no", states.REFUSED), "Failed"),
    "pending": (Pending((DeleteStage("store-cameras", "fleet"),)), "InProgress"),
    "suspended": (Suspended(), "InProgress"),
}


@pytest.mark.parametrize("looked", [True, False], ids=["aws answered", "aws not asked"])
def test_outcome_alone_decides_whatever_was_before(kstatus: Judge, looked: bool) -> None:
    observed = at_aws() if looked else None
    cases = [
        (before, name, after(after(states.body(), first, observed), second, observed), expected)
        for before, (first, _) in OUTCOMES.items()
        for name, (second, expected) in OUTCOMES.items()
    ]
    verdicts = kstatus([obj for _, _, obj, _ in cases])
    wrong = [
        f"{name} after {before}: {verdict}, not {expected}: {message}"
        for (before, name, _, expected), (verdict, message) in zip(cases, verdicts, strict=True)
        if verdict != expected
    ]
    assert wrong == []


def test_no_status_is_ever_current_before_the_operator_has_seen_the_spec(kstatus: Judge) -> None:
    unseen = [states.edited(obj, tags=[]) for obj in objects().values()]
    assert {verdict for verdict, _ in kstatus(unseen)} == {"InProgress", "Terminating"}


def test_reconciling_and_stalled_are_there_only_while_true_and_never_both() -> None:
    for name, obj in objects().items():
        conditions = obj["status"].get("conditions", [])
        kinds = [condition["type"] for condition in conditions if condition["type"] in {"Reconciling", "Stalled"}]
        assert len(kinds) <= 1, name
        assert all(condition["status"] == "True" for condition in conditions if condition["type"] in kinds), name
