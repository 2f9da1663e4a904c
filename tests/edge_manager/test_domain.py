"""What the API means, without a clock, a store or a wire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_manager.domain.access import DEVICE_OPERATIONS, OPERATOR_OPERATIONS, Principal, Role
from edge_manager.domain.deployments import Deployment, State, answer_of, definitions, name_of
from edge_manager.domain.plans import check_models
from edge_manager.domain.scope import Scope
from edge_manager.domain.selection import Choice, Names, allocate, select
from edge_manager.domain.stages import Answers, Counts, Heard, Life, Run
from edge_manager.errors import ApiError
from edge_manager.sandbox.stages import Attempt

SCOPE = Scope("111111111111", "eu-west-1")


def run(answers: Answers, **more: float) -> Life:
    return Life(created=0, ready=1, run=Run(started=10, begins=11, answers=answers, **more))


@pytest.mark.parametrize(
    ("life", "now", "status"),
    [
        (Life(created=0, ready=1), 0.5, "CREATING"),
        (Life(created=0, ready=1), 1, "READYTODEPLOY"),
        (run(Heard(2, 0, 0, 10)), 10.5, "STARTING"),
        (run(Heard(2, 1, 0, 20)), 30, "INPROGRESS"),
        (run(Heard(2, 2, 0, 20)), 30, "DEPLOYED"),
        (run(Heard(2, 1, 1, 20)), 30, "FAILED"),
        (run(Heard(0, 0, 0, 10)), 30, "DEPLOYED"),
        (run(Heard(2, 1, 0, 20), stopping=25, stopped=26), 25.5, "STOPPING"),
        (run(Heard(2, 1, 0, 20), stopping=25, stopped=26), 26, "STOPPED"),
        (run(Heard(2, 2, 0, 40), stopping=25, stopped=26), 50, "STOPPED"),
        (run(Attempt(0, 2, 11, 21, 0, None)), 16, "INPROGRESS"),
        (run(Attempt(0, 2, 11, 21, 0, None)), 21, "DEPLOYED"),
        (run(Attempt(0, 2, 11, 21, 1, None)), 21, "FAILED"),
    ],
)
def test_a_stage_has_one_status_at_any_time(life: Life, now: float, status: str) -> None:
    assert life.status(now) == status


def test_both_sides_of_the_port_count_alike() -> None:
    simulated = run(Attempt(0, 4, 11, 21, 1, None))
    heard = run(Heard(4, 3, 1, 21))
    assert simulated.counts(9, 30) == heard.counts(9, 30) == Counts(3, 0, 1)
    assert simulated.moment(30) == heard.moment(30) == ("FAILED", 21)


@pytest.mark.parametrize("status", ["INPROGRESS", "DEPLOYED"])
def test_what_is_under_way_or_done_is_not_started(status: str) -> None:
    life = run(Heard(2, 2 if status == "DEPLOYED" else 1, 0, 20))
    with pytest.raises(ApiError, match=f"cannot be started while its status is {status}"):
        life.check_start("one", 30)


def test_what_is_not_under_way_is_not_stopped() -> None:
    with pytest.raises(ApiError, match="cannot be stopped while its status is DEPLOYED"):
        run(Heard(1, 1, 0, 20)).check_stop("one", 30)
    run(Heard(1, 0, 0, 20)).check_stop("one", 30)


def test_what_is_active_is_not_removed() -> None:
    with pytest.raises(ApiError, match="Stop it first"):
        run(Heard(1, 0, 0, 20)).require_inactive("one", 30)
    run(Heard(1, 0, 0, 20), stopping=25, stopped=25).require_inactive("one", 30)


NAMES = st.lists(st.sampled_from([f"{kind}-{i}" for kind in ("till", "canary") for i in range(6)]), unique=True)
SELECTIONS = st.one_of(
    st.builds(lambda share: {"DeviceSubsetType": "PERCENTAGE", "Percentage": share}, st.integers(0, 120)),
    st.builds(lambda part: {"DeviceSubsetType": "NAMECONTAINS", "DeviceNameContains": part}, st.sampled_from("ct1")),
    st.builds(lambda names: {"DeviceSubsetType": "SELECTION", "DeviceNames": names}, NAMES),
)


@given(st.lists(SELECTIONS, max_size=4), NAMES)
def test_stages_go_to_devices_of_the_fleet_and_shares_do_not_overlap(
    selections: list[dict[str, Any]], fleet: list[str]
) -> None:
    allocated = allocate([Choice(selection, None) for selection in selections], Names(dict.fromkeys(fleet)))
    earlier: set[str] = set()
    for selection, devices in zip(selections, allocated, strict=True):
        assert set(devices) <= set(fleet)
        if selection["DeviceSubsetType"] == "PERCENTAGE":
            assert not set(devices) & earlier
        earlier |= set(devices)


def test_a_share_is_rounded_up() -> None:
    assert select({"DeviceSubsetType": "PERCENTAGE", "Percentage": 1}, Names(["a", "b", "c"]), []) == ["a"]


def test_the_names_of_deployments_fit_the_model_and_tell_starts_apart() -> None:
    names = {name_of("p" * 63, "s" * 63, sequence) for sequence in (1, 12, 10**12)}
    assert len(names) == 3
    assert all(len(name) <= 63 for name in names)
    answer = answer_of({"DeploymentName": name_of("plan-7", "stage-", 42), "DeploymentStatus": "FAIL"})
    assert answer is not None
    assert (answer.sequence, answer.state) == (42, State.FAIL)


@pytest.mark.parametrize(
    ("result", "state"),
    [
        ({"DeploymentStatus": "SUCCESS"}, State.SUCCESS),
        ({"DeploymentStatus": "FAIL"}, State.FAIL),
        ({"DeploymentStatus": "INPROGRESS"}, None),
        ({}, None),
        ({"DeploymentModels": [{"Status": "SUCCESS"}, {"Status": "SUCCESS"}]}, State.SUCCESS),
        ({"DeploymentModels": [{"Status": "SUCCESS"}, {"Status": "FAIL"}]}, State.FAIL),
        ({"DeploymentModels": [{"Status": "SUCCESS"}, {}]}, None),
        ({"DeploymentStatus": "SUCCESS", "DeploymentModels": [{"Status": "FAIL"}]}, State.SUCCESS),
    ],
)
def test_an_answer_is_success_or_failure_or_none(result: dict[str, Any], state: State | None) -> None:
    answer = answer_of({"DeploymentName": "plan-stage-3", **result})
    assert (answer and answer.state) == state


@pytest.mark.parametrize(
    ("deployment", "offered", "status"),
    [
        (Deployment(State.READY), True, "READYTODEPLOY"),
        (Deployment(State.FETCHED), True, "INPROGRESS"),
        (Deployment(State.SUCCESS), True, "DEPLOYED"),
        (Deployment(State.FAIL), False, "FAILED"),
        (Deployment(State.READY, stopped=True), False, "STOPPED"),
        (Deployment(State.FETCHED, stopped=True), True, "STOPPING"),
        (Deployment(State.READY, superseded_by="stage b"), False, "STOPPED"),
        (Deployment(State.FETCHED, superseded_by="stage b"), False, "STOPPED"),
        (Deployment(State.SUCCESS, superseded_by="stage b"), False, "DEPLOYED"),
    ],
)
def test_a_device_is_offered_what_it_may_still_run(deployment: Deployment, offered: bool, status: str) -> None:
    assert (deployment.is_offered, deployment.status) == (offered, status)


def test_models_that_a_plan_does_not_have_are_undeployed() -> None:
    old, new = ({"handle": handle, "url": f"s3://b/{handle}", "sha1": "0" * 40} for handle in ("old", "new"))
    told = [(each["ModelHandle"], each["State"]) for each in definitions([new], [old, new])]
    assert told == [("new", "DEPLOY"), ("old", "UNDEPLOY")]


def test_one_handle_names_one_model_of_a_plan() -> None:
    with pytest.raises(ApiError, match="must be unique"):
        check_models([{"ModelHandle": "a", "EdgePackagingJobName": "b"}] * 2)


def principal(role: Role, **more: Any) -> Principal:
    return Principal("AKIA", SCOPE.account, "arn:aws:iam::111111111111:user/x", role, **more)


DEVICE = principal(Role.DEVICE, region="eu-west-1", fleet="shops", device="till-1")
OWN = {"DeviceFleetName": "shops", "DeviceName": "till-1"}


@pytest.mark.parametrize("operation", sorted(DEVICE_OPERATIONS))
def test_a_device_speaks_for_itself_alone(operation: str) -> None:
    assert DEVICE.may(operation, SCOPE, OWN)
    assert not DEVICE.may(operation, SCOPE, OWN | {"DeviceName": "till-2"})
    assert not DEVICE.may(operation, SCOPE, OWN | {"DeviceFleetName": "depots"})
    assert not DEVICE.may(operation, Scope(SCOPE.account, "us-east-1"), OWN)
    assert not DEVICE.may(operation, Scope("222222222222", "eu-west-1"), OWN)


@pytest.mark.parametrize("operation", sorted(OPERATOR_OPERATIONS))
def test_an_operator_works_on_plans_and_a_device_does_not(operation: str) -> None:
    wanted = {"EdgeDeploymentPlanName": "tills", **OWN}
    assert principal(Role.OPERATOR).may(operation, SCOPE, wanted)
    assert not DEVICE.may(operation, SCOPE, wanted)


def test_an_operator_tags_plans_and_nothing_else() -> None:
    operator = principal(Role.OPERATOR)
    assert operator.may("AddTags", SCOPE, {"ResourceArn": SCOPE.arn("edge-deployment", "tills")})
    assert not operator.may("AddTags", SCOPE, {"ResourceArn": SCOPE.arn("device-fleet", "shops")})
    assert not operator.may("DeleteDeviceFleet", SCOPE, {"DeviceFleetName": "shops"})


def test_a_refusal_names_who_what_and_where() -> None:
    with pytest.raises(ApiError) as refusal:
        DEVICE.check("GetDeployments", SCOPE, OWN | {"DeviceName": "till-2"})
    assert refusal.value.code == "AccessDeniedException"
    assert "sagemaker:GetDeployments on resource: " in refusal.value.message
    assert "arn:aws:sagemaker:eu-west-1:111111111111:device-fleet/shops/device/till-2" in refusal.value.message


@pytest.mark.parametrize("state", ["SUCCESS", "FAIL"])
def test_what_a_device_says_is_kept_up_to_a_length_that_others_can_read(state: str) -> None:
    models = [{"Status": state, "StatusReason": f"{number}" * 600} for number in range(3)]
    result = {"DeploymentName": "p-s-1", "DeploymentStatusMessage": "x" * 4_000_000, "DeploymentModels": models}
    for said in (result | {"DeploymentStatus": state}, result):
        answer = answer_of(said)
        assert answer is not None
        assert (answer.state, answer.message) == (state, "x" * 1023 + "…")
    short = answer_of({"DeploymentName": "p-s-1", "DeploymentStatus": state, "DeploymentStatusMessage": "x" * 1024})
    assert short is not None
    assert short.message == "x" * 1024
