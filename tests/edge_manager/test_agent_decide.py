"""What the agent does next: state and answer in, state and step out."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_manager.agent.decide import (
    Check,
    Fail,
    Fetch,
    Job,
    Phase,
    Prepare,
    Restore,
    State,
    Switch,
    checked,
    hindered,
    mismatched,
    next_step,
    offered,
    prepared,
    reported,
    restored,
    switched,
)
from edge_manager.agent.disk import release_of
from edge_manager.agent.memory import load, save
from edge_manager.agent.service import parse, told
from edge_manager.agent.values import Failure, Model, Offer, Result

if TYPE_CHECKING:
    from pathlib import Path

COUNTER = Model("counter", "s3://models/packages/job/shelf-counter-1.2.tar.gz", "a" * 40)
SCANNER = Model("scanner", "s3://models/packages/job/scanner-2_0.tar.gz", "b" * 40)
OFFER = Offer("tills-all-1", (COUNTER, SCANNER))
LATER = Offer("tills-all-2", (SCANNER,), removed=("counter",))
BOTH = frozenset({"a" * 40, "b" * 40})
NO = Failure("It crashed.", "counter")


def at(phase: Phase, offer: Offer = OFFER, *, before: str | None = "old-1", good: str | None = None) -> State:
    return State(Job(offer, 100.0, phase, before), good=good)


def job(state: State) -> Job:
    assert state.job is not None
    return state.job


def test_an_offer_that_is_news_becomes_a_job() -> None:
    assert offered(State(), OFFER, 100.0) == State(Job(OFFER, 100.0))
    assert offered(State(over="tills-all-1"), LATER, 100.0).job == Job(LATER, 100.0)


def test_an_offer_that_is_done_or_under_way_changes_nothing() -> None:
    done = State(over="tills-all-1")
    assert offered(done, OFFER, 200.0) == done
    assert offered(at(Phase.FETCH), OFFER, 200.0) == at(Phase.FETCH)


@pytest.mark.parametrize("answer", [None, LATER])
def test_a_download_gives_way_to_a_later_offer_or_none(answer: Offer | None) -> None:
    assert offered(at(Phase.FETCH), answer, 200.0) == State(None if answer is None else Job(answer, 200.0))


@pytest.mark.parametrize("phase", [Phase.SWITCH, Phase.CHECK, Phase.RESTORE])
@pytest.mark.parametrize("answer", [None, LATER])
def test_what_began_to_switch_is_carried_through(phase: Phase, answer: Offer | None) -> None:
    assert offered(at(phase), answer, 200.0) == at(phase)


def test_models_are_fetched_before_anything_is_switched() -> None:
    begun = job(at(Phase.FETCH))
    assert next_step(begun, frozenset()) == Fetch(COUNTER)
    assert next_step(begun, frozenset({COUNTER.sha1})) == Fetch(SCANNER)
    assert next_step(begun, BOTH) == Prepare()
    assert next_step(job(at(Phase.SWITCH)), BOTH) == Switch(OFFER)
    assert next_step(job(at(Phase.CHECK)), BOTH) == Check(OFFER)
    assert next_step(job(at(Phase.RESTORE)), BOTH) == Restore("old-1")


def test_an_offer_that_cannot_be_carried_out_fails_with_its_reason() -> None:
    faulty = replace(OFFER, fault="No SHA-1.")
    assert next_step(job(at(Phase.FETCH, faulty)), BOTH) == Fail(Failure("No SHA-1."))


def test_success_is_over_reported_and_good() -> None:
    state = checked(switched(at(Phase.SWITCH)), "new-1", None, 160.0)
    assert (state.job, state.over, state.good) == (None, "tills-all-1", "new-1")
    [result] = state.results
    assert (result.status, result.started, result.ended, result.message) == ("SUCCESS", 100.0, 160.0, None)
    assert reported(state, result) == replace(state, results=())


def test_a_refused_model_is_rolled_back() -> None:
    state = checked(at(Phase.CHECK), "new-1", NO, 160.0)
    assert next_step(job(state), BOTH) == Restore("old-1")
    [result] = restored(state, 170.0).results
    assert (result.status, result.message, result.is_running) == ("FAIL", "It crashed. Rolled back.", False)


def test_a_refused_model_is_left_in_place_where_the_policy_says_so() -> None:
    state = checked(at(Phase.CHECK, replace(OFFER, rolls_back=False), good="old-1"), "new-1", NO, 160.0)
    [result] = state.results
    assert (result.status, result.is_running) == ("FAIL", True)
    assert result.message == "It crashed. Left in place, as the policy says."
    assert state.good == "old-1", "the last that worked stays, to go back to"


def test_a_rollback_goes_to_what_worked_last() -> None:
    left_in_place = State(Job(LATER, 100.0), good="old-1")
    assert job(prepared(left_in_place, frozenset({"old-1", "new-1"}), "new-1")).before == "old-1"
    assert job(prepared(left_in_place, frozenset({"new-1"}), "new-1")).before == "new-1", "what is gone is no way back"
    assert job(prepared(State(Job(OFFER, 100.0)), frozenset(), None)).before is None


def test_a_first_model_that_is_refused_leaves_nothing_running() -> None:
    state = checked(at(Phase.CHECK, before=None), "new-1", NO, 160.0)
    assert next_step(job(state), BOTH) == Restore(None)
    [result] = restored(state, 170.0).results
    assert result.message == "It crashed. Nothing ran before, so nothing runs now."


def test_a_rollback_that_is_not_liked_says_so() -> None:
    state = checked(at(Phase.CHECK), "new-1", NO, 160.0)
    [result] = restored(state, 170.0, "It does not start.").results
    assert result.message == "It crashed. Rolled back. Rollback: It does not start."
    assert {model["RollbackFailureReason"] for model in told(result)["DeploymentModels"]} == {"It does not start."}


def test_what_ran_before_the_state_was_lost_is_not_taken_away() -> None:
    state = checked(at(Phase.CHECK, before="new-1"), "new-1", NO, 160.0)
    assert state.job is None
    assert state.results[0].message == "It crashed. Left in place: it ran before."


def test_a_wrong_checksum_is_fetched_once_more_and_then_fails() -> None:
    once = mismatched(at(Phase.FETCH), COUNTER, "c" * 40, 160.0)
    assert next_step(job(once), frozenset()) == Fetch(COUNTER)
    [result] = mismatched(once, COUNTER, "c" * 40, 160.0).results
    assert result.message == f"{COUNTER.url} has the SHA-1 {'c' * 40}, not {'a' * 40}."
    assert result.is_running is False


def test_a_device_in_trouble_waits_and_then_fails_but_not_after_the_switch() -> None:
    state = hindered(at(Phase.FETCH), "No space.", 40.0, 60.0, 200.0)
    state = hindered(state, "No space.", 40.0, 60.0, 240.0)
    assert job(state).hindered == 80.0
    assert hindered(state, "No space.", 40.0, 60.0, 280.0).results[0].message == "No space."
    assert hindered(at(Phase.SWITCH), "No space.", 90.0, 60.0, 200.0) == at(Phase.SWITCH)


@given(
    phase=st.sampled_from(Phase),
    events=st.lists(st.sampled_from(["offer", "later", "none", "step", "no", "lost"]), max_size=30),
)
def test_every_deployment_has_one_end_and_what_was_good_stays_known(phase: Phase, events: list[str]) -> None:
    state, current = at(phase, good="old-1"), "old-1"
    for event in events:
        if event in {"offer", "later", "none"}:
            state = offered(state, {"offer": OFFER, "later": LATER, "none": None}[event], 200.0)
        elif state.job is not None:
            step = next_step(state.job, BOTH if event == "step" else frozenset())
            if isinstance(step, Fetch):
                state = mismatched(state, step.model, "c" * 40, 200.0)
            elif isinstance(step, Prepare):
                state = prepared(state, frozenset({"old-1", current}), current)
            elif isinstance(step, Switch):
                current, state = release_of(step.offer).id, switched(state)
            elif isinstance(step, Check):
                state = checked(state, current, NO if event == "no" else None, 200.0)
            elif isinstance(step, Restore):
                assert step.release is not None
                current, state = step.release, restored(state, 200.0)
        if state.job is None or state.job.phase is Phase.FETCH:
            assert current == state.good, "outside of a switch the device runs what was good"
        assert state.job is None or state.job.offer.deployment != state.over
    names = [result.offer.deployment for result in state.results]
    assert all(one != other for one, other in itertools.pairwise(names))


def test_a_state_file_says_the_same_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    assert load(file) == State()
    state = checked(at(Phase.CHECK), "new-1", NO, 160.0)
    for known in (state, restored(state, 170.0, "It does not start."), offered(State(), LATER, 1.0)):
        save(file, known)
        assert load(file) == known


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "job": {}, "results": []}'])
def test_a_state_file_that_cannot_be_read_is_put_aside(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(content)
    assert load(file) == State()
    assert (tmp_path / "state.unreadable").read_bytes() == content


RESULT = {
    "offer": {"deployment": "x-1", "models": [], "removed": [], "rolls_back": True, "fault": None},
    "started": 1.0,
    "ended": 2.0,
    "failure": None,
    "is_running": True,
    "rollback_failure": None,
}
JOB = {
    "offer": {**RESULT["offer"], "models": [["counter", COUNTER.url, COUNTER.sha1]]},  # type: ignore[dict-item]
    "started": 1.0,
    "phase": "FETCH",
    "before": None,
    "failure": None,
    "mismatches": 0,
    "hindered": 0.0,
}


def content(**more: object) -> bytes:
    return json.dumps({"format": 1, "job": JOB, "over": "a", "good": "b", "results": [RESULT], **more}).encode()


def damaged(whole: dict[str, Any], **more: object) -> dict[str, Any]:
    return {**whole, **more}


def test_the_state_that_the_next_test_damages_is_sound(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(content())
    assert load(file).job == Job(Offer("x-1", (COUNTER,)), 1.0)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"[" * 100_000, id="deep"),
        b"null",
        pytest.param(bytes(300), id="zeros"),
        content(good=5),
        content(good="../../etc"),
        content(over=[]),
        content(job="x"),
        content(job=[]),
        content(job=damaged(JOB, started="soon")),
        content(job=damaged(JOB, phase="LATER")),
        content(job=damaged(JOB, before="../x")),
        content(job=damaged(JOB, hindered=float("nan"))),
        content(job=damaged(JOB, offer=damaged(JOB["offer"], models=[["counter", None, None]]))),  # type: ignore[arg-type]
        content(job=damaged(JOB, offer=damaged(JOB["offer"], models=[["counter"]]))),  # type: ignore[arg-type]
        content(job=damaged(JOB, offer=damaged(JOB["offer"], deployment="../x"))),  # type: ignore[arg-type]
        content(results="x"),
        content(results=["x"]),
        content(results=[damaged(RESULT, started="soon")]),
        content(results=[damaged(RESULT, started=1e20)]),
        content(results=[damaged(RESULT, ended=float("nan"))]),
        content(results=[damaged(RESULT, failure=[1])]),
        content(results=[damaged(RESULT, is_running="no")]),
    ],
)
def test_a_state_file_of_the_wrong_form_is_put_aside_at_the_start_not_tripped_over_later(
    content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(content)
    assert load(file) == State()
    assert (tmp_path / "state.unreadable").read_bytes() == content


def test_a_folder_in_the_place_of_the_state_file_is_put_aside_whatever_was_put_aside_before(tmp_path: Path) -> None:
    file, aside = tmp_path / "state.json", tmp_path / "state.unreadable"
    for folder in (file, aside):
        folder.mkdir()
        (folder / "x").write_bytes(b"")
    assert load(file) == State()
    assert aside.is_dir()
    save(file, State())
    assert load(file) == State()


def definition(**more: object) -> dict[str, object]:
    checksum = {"Type": "SHA1", "Sum": "a" * 40}
    return {"ModelHandle": "counter", "S3Url": COUNTER.url, "Checksum": checksum, "State": "DEPLOY", **more}


def test_an_answer_is_parsed_into_an_offer() -> None:
    answer = {
        "DeploymentName": "tills-all-2",
        "FailureHandlingPolicy": "DO_NOTHING",
        "Definitions": [definition(), definition(ModelHandle="scanner", State="UNDEPLOY")],
    }
    assert parse(answer) == Offer("tills-all-2", (COUNTER,), ("scanner",), rolls_back=False)


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (definition(ModelHandle="../etc"), "The model handle '../etc' cannot be used."),
        (definition(Checksum={}), "The model counter has no SHA-1 to verify it by."),
        (definition(Checksum={"Type": "SHA1", "Sum": "../../x"}), "The model counter has no SHA-1 to verify it by."),
        (definition(S3Url="s3://m/\0\ud800"), r"The address of the model counter cannot be used: 's3://m/\x00\ud800'"),
        (None, "The deployment names no model."),
    ],
)
def test_what_cannot_be_carried_out_is_an_offer_with_a_fault(wrong: dict[str, object] | None, fault: str) -> None:
    offer = parse({"DeploymentName": "tills-all-2", "Definitions": [wrong] if wrong else []})
    assert offer is not None
    assert offer.fault == fault


@given(st.text(st.characters(exclude_categories=()), max_size=1500))
def test_whatever_was_printed_is_kept_and_reported_as_text_that_anything_can_carry(printed: str) -> None:
    state = checked(at(Phase.CHECK), "new-1", Failure(printed, "counter"), 160.0)
    kept = restored(state, 170.0, printed).results[0]
    as_before = Result(OFFER, 1.0, 2.0, Failure(printed), rollback_failure=printed)  # what an older agent remembers
    for result in (kept, as_before):
        answer = told(result)
        texts = [
            answer["DeploymentStatusMessage"],
            *(
                model[each]
                for model in answer["DeploymentModels"]
                for each in ("StatusReason", "RollbackFailureReason")
                if each in model
            ),
        ]
        for text in texts:
            assert len(text.encode()) >= len(text) <= 1000
            assert not set(text) & {chr(code) for code in (*range(32), *range(127, 160))}


def test_a_name_that_could_be_a_path_is_no_offer() -> None:
    assert parse({"DeploymentName": "../../etc", "Definitions": [definition()]}) is None


def test_name_and_version_of_a_model_are_those_of_its_package() -> None:
    assert COUNTER.installed[1:3] == ("shelf-counter", "1.2")
    assert SCANNER.installed[1:3] == ("scanner", "2_0")
    assert Model("counter", "s3://models/some-file", "a" * 40).installed[1:3] == ("counter", "a" * 12)
    assert Model("counter", "s3://models/ab-1.tar.gz", "a" * 40).installed[1:3] == ("counter", "a" * 12)
