"""`edgeplan validate` accepts the files that `kubectl apply --dry-run=server` accepts, and refuses those that it refuses."""

import io
import sys
from pathlib import Path

import pytest

from controller.schema.documents import decode
from controller.schema.manifests import Problem, check, check_one, parse
from tests.commands.readings import HOLD_NOTHING, PARTS, Reading, all_readings

READINGS = all_readings()


def problems(text: str, tmp_path: Path, name: str = "plan.yaml") -> list[Problem]:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return check([file])[0]


def verdict(reading: Reading) -> list[Problem] | None:
    """The problems of a file, None where it was passed over."""
    found = [
        problem
        for each in parse(reading.name, decode(reading.data))
        for problem in ([each] if isinstance(each, Problem) else [*check_one(each), None])
    ]
    return [problem for problem in found if problem is not None] if found else None


def test_the_verdict_is_that_of_kubectl_and_no_file_is_passed_over() -> None:
    verdicts = {reading.name: verdict(reading) for reading in READINGS}
    assert [name for name, found in verdicts.items() if found is None] == []
    assert {name for name, found in verdicts.items() if not found} == {one.name for one in READINGS if one.accepted}


def test_each_reading_has_its_own_name() -> None:
    assert len({reading.name for reading in READINGS}) == len(READINGS)
    assert sum(reading.accepted for reading in READINGS) > 100
    assert HOLD_NOTHING


PLAN = PARTS["<plan>"]


@pytest.mark.parametrize(
    ("change", "line", "field", "words"),
    [
        (("deviceFleetName", "deviceFleet"), 9, "spec.deviceFleet", "unknown field: did you mean deviceFleetName, which is required?"),
        (("modelHandle", "ModelHandle"), 7, "spec.modelConfigs[0].ModelHandle", "did you mean modelHandle, which is required?"),
        (("name: store", "Name: store"), 4, "metadata.Name", "did you mean name?"),
        (("kind: E", "Kind: E"), 1, "kind", "Required value: did you mean kind by Kind?"),
        (("Plan\n", "plan\n"), 2, "kind", "did you mean EdgeDeploymentPlan?"),
        (("edgeplan.dev", "edgeplans.dev"), 1, "apiVersion", "did you mean edgeplan.dev/v1alpha1?"),
        (("v1alpha1", "v1"), 1, "apiVersion", 'Unsupported value: "edgeplan.dev/v1"'),
        (("store-cameras", "7"), 9, "spec.deviceFleetName", 'Invalid value: 7: must be a string: put it in quotes, "7"'),
        (("store-cameras", "a b"), 9, "spec.deviceFleetName", "should be letters, digits and inner hyphens"),
        (("name: store", "name: 7"), 4, "metadata.name", "Invalid value: 7: must be a string"),
        (("name: store", "generateName: s-"), 4, "metadata.generateName", "kubectl apply needs metadata.name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_its_line_and_in_words(
    change: tuple[str, str], line: int, field: str, words: str, tmp_path: Path
) -> None:
    found = problems(PLAN.replace(*change), tmp_path)
    told = [each for each in found if each.field == field]
    assert [each.line for each in told] == [line], found
    assert words in told[0].text


@pytest.mark.parametrize(
    ("rollout", "words"),
    [
        ("bakeTime: 30", 'must be a string: put it in quotes, "30"'),
        ("bakeTime: '30'", "should be a duration such as 90s, 30m or 24h"),
        ("bakeTime: 1d", "should be a duration such as 90s, 30m or 24h"),
        ("maxFailedPercent: 101", "should be less than or equal to 100"),
        ("strategy: sequential", 'supported values: "Sequential": did you mean Sequential?'),
        ("throughStages: a", "unknown field: did you mean throughStage?"),
    ],
)
def test_no_message_shows_a_raw_pattern_or_a_name_of_python(rollout: str, words: str, tmp_path: Path) -> None:
    stages = "  stages:\n  - stageName: a\n    deviceSelectionConfig: {deviceSubsetType: PERCENTAGE, percentage: 1}\n"
    strategy = "" if "strategy" in rollout else "    strategy: Sequential\n"
    told = "".join(str(each) for each in problems(f"{PLAN}{stages}  rollout:\n{strategy}    {rollout}\n", tmp_path))
    assert words in told
    assert "^" not in told
    assert "Input should" not in told


def test_eleven_stages_are_at_most_ten_not_eleven(tmp_path: Path) -> None:
    stage = "  - {{stageName: s{0}, deviceSelectionConfig: {{deviceSubsetType: PERCENTAGE, percentage: 1}}}}\n"
    text = PLAN + "  stages:\n" + "".join(stage.format(number) for number in range(11))
    (found,) = problems(text, tmp_path)
    assert (found.line, found.text) == (10, "Too many: at most 10, not 11")


def test_lines_are_those_of_the_file_in_json_and_behind_separators(tmp_path: Path) -> None:
    bad = PLAN.replace("store-cameras", "a b")
    assert [each.line for each in problems(f"# x\n---\n{PLAN}---\n{bad}", tmp_path)] == [21]
    text = (
        '{\n\t"apiVersion": "edgeplan.dev/v1alpha1",\n\t"kind": "EdgeDeploymentPlan",\n\t"metadata": {"name": "a"},\n'
    )
    text += '\t"spec": {\n\t\t"modelConfigs": [],\n\t\t"deviceFleetName": "a b"\n\t}\n}\n'
    assert [each.line for each in problems(f"{PARTS['<json>']}\n{text}", tmp_path, "plan.json")] == [8]


def test_other_kinds_are_passed_over_also_where_their_files_are_no_objects(tmp_path: Path) -> None:
    for text in ("kind: ConfigMap\napiVersion: v1\n", "replicas: 3\n", "kind: Deployment\napiVersion: apps/v1\n"):
        assert problems(text, tmp_path) == []


def test_an_empty_folder_is_a_problem_unless_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("apiVersion: v1\nkind: ConfigMap\n", encoding="utf-8")
    (found,) = check([tmp_path])[0]
    assert found.text == "no EdgeDeploymentPlan in this folder (--allow-empty permits that)"
    assert check([tmp_path], allow_empty=True) == ([], 0)
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    assert check([tmp_path]) == ([], 1)


def test_standard_input_is_read_like_a_file_and_must_hold_something(monkeypatch: pytest.MonkeyPatch) -> None:
    def give(data: bytes) -> tuple[list[Problem], int]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return check([Path("-")])

    assert give(PLAN.encode("utf-16")) == ([], 1)
    (found,) = give(b"")[0]
    assert found.text.startswith("no EdgeDeploymentPlan in standard input")


def test_a_folder_with_the_name_of_a_manifest_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").mkdir()
    (tmp_path / "deep.yaml" / "plan.yaml").write_text(PLAN, encoding="utf-8")
    assert check([tmp_path]) == ([], 1)
