"""`edgeplan validate`: every rule of the resource, refused offline at the same field as by the API server."""

from pathlib import Path

import pytest
import yaml

from controller.cli import main
from controller.domain.api import KIND
from controller.schema.crd import custom_resource_definition
from controller.schema.manifests import Problem, check
from tests.bad_manifests import BAD, Bad, good_spec, manifest

EXAMPLES = sorted(Path("examples").rglob("*.yaml"))


def problems(text: str, tmp_path: Path) -> list[Problem]:
    file = tmp_path / "plan.yaml"
    file.write_text(text, encoding="utf-8")
    found, _ = check([file])
    return found


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.id)
def test_bad_manifest_is_refused_at_its_field(bad: Bad, tmp_path: Path) -> None:
    (found,) = problems(bad.text, tmp_path)
    assert found.field == bad.field
    for word in bad.words:
        assert (word if word != "should match" else "should be") in found.text
    assert "^" not in found.text


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.id)
def test_the_line_is_that_of_the_field_or_of_what_should_have_held_it(bad: Bad, tmp_path: Path) -> None:
    (found,) = problems(bad.text, tmp_path)
    key = bad.field.split(".")[-1].split("[")[0]
    line = bad.text.splitlines()[found.line - 1]
    written = f"{key}:" in bad.text
    in_a_list = bad.field.endswith("]")
    assert not written or in_a_list or key in line or found.text == "Required value"


def test_every_row_has_its_own_name() -> None:
    assert len({bad.id for bad in BAD}) == len(BAD)


def test_the_manifest_that_all_rows_change_is_good(tmp_path: Path) -> None:
    assert problems(yaml.safe_dump(manifest(good_spec())), tmp_path) == []


def _messages(schema: object) -> set[str]:
    if isinstance(schema, dict):
        own = {rule["message"] for rule in schema.get("x-kubernetes-validations", ())}
        return own.union(*map(_messages, schema.values()))
    return set[str]().union(*map(_messages, schema)) if isinstance(schema, list) else set()


def test_every_rule_of_the_crd_has_a_row() -> None:
    transitions = {message for message in _messages(custom_resource_definition()) if "cannot be changed" in message}
    for message in _messages(custom_resource_definition()) - transitions:
        assert any(word in message for bad in BAD for word in bad.words if len(word) > 10), message


def tags(count: int) -> list[dict[str, str]]:
    return [{"key": f"k{i}", "value": ""} for i in range(count)]


def stages(count: int) -> list[dict[str, object]]:
    """Stages for 0, 1, 2 and so on percent of the fleet."""
    return [
        {"stageName": f"s{i}", "deviceSelectionConfig": {"deviceSubsetType": "PERCENTAGE", "percentage": i}}
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("fifty_tags_under_observe", {"policy": {"management": "Observe"}, "tags": tags(50)}),
        ("forty_nine_tags", {"tags": tags(49)}),
        ("a_percentage_of_nothing", {"rollout": None, "stages": stages(1)}),
        ("ten_stages", {"rollout": None, "stages": stages(10)}),
        ("no_stages", {"rollout": None, "stages": []}),
        ("no_models", {"modelConfigs": []}),
        ("the_longest_name", {"edgeDeploymentPlanName": "a" * 63}),
        ("a_name_of_one_letter", {"deviceFleetName": "a"}),
        ("upper_case_and_hyphens", {"deviceFleetName": "Store--Cameras-7"}),
        ("a_tag_with_umlauts_and_blanks", {"tags": [{"key": "Größe +/=", "value": "zwölf:3 @ läden"}]}),
        ("the_longest_duration", {"rollout": {"strategy": "Sequential", "bakeTime": "8759h59m60s", "progressDeadline": "31536000s"}}),
        ("a_region_of_china", {"target": {"region": "cn-north-1"}}),
        ("a_region_of_the_european_cloud", {"target": {"region": "eusc-de-east-1"}}),
        ("a_region_of_the_government", {"target": {"region": "us-gov-west-1"}}),
        ("min_devices_with_its_bound", {"rollout": {"strategy": "Sequential", "maxFailedPercent": 0, "minDevices": 1}}),
    ],
)  # fmt: skip
def test_good_manifest_passes(name: str, change: dict[str, object], tmp_path: Path) -> None:
    spec = {key: value for key, value in (good_spec() | change).items() if value is not None}
    assert problems(yaml.safe_dump(manifest(spec)), tmp_path) == [], name


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_examples_are_good(example: Path) -> None:
    plans = example.read_text(encoding="utf-8").count(f"kind: {KIND}\n")  # the others are Argo CD's and Flux's own
    assert check([example]) == ([], plans)


def test_all_mistakes_of_a_manifest_are_told_at_once(tmp_path: Path) -> None:
    spec = good_spec() | {"deviceFleetName": "a b", "suspend": "no"}
    spec["stages"][2]["deviceSelectionConfig"]["percentage"] = 101
    assert [found.field for found in problems(yaml.safe_dump(manifest(spec)), tmp_path)] == [
        "spec.deviceFleetName",
        "spec.stages[2].deviceSelectionConfig.percentage",
        "spec.suspend",
    ]


PLAIN = """\
apiVersion: edgeplan.dev/v1alpha1
kind: EdgeDeploymentPlan
metadata:
  name: store-cameras
spec:
  modelConfigs: []
  deviceFleetName: a b
"""


def test_a_problem_reads_as_file_line_field_and_text(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(PLAIN, encoding="utf-8")
    (found,), _ = check([file])
    assert str(found).startswith(f'{file}:7: spec.deviceFleetName: Invalid value: "a b": should be letters')


def test_lines_count_through_all_documents_of_a_file(tmp_path: Path) -> None:
    (found,) = problems(f"kind: ConfigMap\n---\n{PLAIN}", tmp_path)
    assert found.line == 9


def test_items_of_a_list_are_checked(tmp_path: Path) -> None:
    body = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(PLAIN)]})
    assert [found.field for found in problems(body, tmp_path)] == ["spec.deviceFleetName"]


def test_other_kinds_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\n", encoding="utf-8")
    assert check([file]) == ([], 0)


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("a: [", 1, "", "not YAML"),
        ("a: b\n\tc: d\n", 2, "", "not YAML: column 1: this character cannot stand here; YAML is indented with blanks"),
        ("a: 1\nkind X\nb: 2\n", 2, "", "not YAML: column 1: a colon is missing behind a key"),
        ("a:\n  b: 1\n c: 2\n", 3, "", "not YAML: column 2: indented otherwise than the lines that it belongs to"),
        ("a: b: c\n", 1, "", "not YAML: column 5: a second key in one line"),
        ('a: 1\nb: "c\nd: e\n', 2, "", "not YAML: column 4: a quote is opened and not closed"),
        ("a: [b, c\nd: e\n", 2, "", "not YAML: column 2: a bracket is not closed, or a comma is missing"),
        ("- a\n- b\n", 1, "", "not a Kubernetes object"),
        (PLAIN.replace("v1alpha1", "v1"), 1, "apiVersion", 'Unsupported value: "edgeplan.dev/v1"'),
        (PLAIN.replace("  name: store-cameras", "  labels: {}"), 3, "metadata.name", "Required value"),
        (PLAIN.replace("name: store-cameras", "name: Store_Cameras"), 4, "metadata.name", "RFC 1123"),
        (PLAIN + "extra: 1\n", 8, "extra", "unknown field"),
        (PLAIN.partition("spec:")[0] + "spec: text\n", 5, "spec", "must be a mapping"),
        (PLAIN.partition("spec:")[0], 1, "spec", "Required value"),
    ],
)
def test_what_is_wrong_around_the_spec_is_told_too(
    text: str, line: int, field: str, words: str, tmp_path: Path
) -> None:
    found = [each for each in problems(text, tmp_path) if each.field == field]
    assert [each.line for each in found] == [line]
    assert words in found[0].text


def test_a_file_that_is_not_there_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    (found,), checked = check([tmp_path / "none.yaml"])
    assert "cannot be read" in found.text
    assert checked == 0


def test_a_folder_is_searched_for_yaml_and_json(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yml").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "b.json").write_text('{"apiVersion": "edgeplan.dev/v1alpha1", "kind": "EdgeDeploymentPlan"}')
    (tmp_path / "c.txt").write_text("a: [", encoding="utf-8")
    found, checked = check([tmp_path])
    assert checked == 2
    assert {Path(each.file).name for each in found} == {"a.yml", "b.json"}


@pytest.mark.parametrize(
    ("id_of", "words"),
    [
        ("through_stage_unknown", '"all" is none of canary, named, fleet'),
        ("stage_names_twice", '"canary" is that of stages[0] and stages[1]'),
        ("tag_keys_twice", '"a" is that of tags[0] and tags[1]'),
    ],
)
def test_a_rule_over_several_values_is_told_with_the_values(id_of: str, words: str, tmp_path: Path) -> None:
    (found,) = problems(next(bad.text for bad in BAD if bad.id == id_of), tmp_path)
    assert found.text.endswith(f": {words}")


def test_a_stage_that_is_nearly_there_is_named(tmp_path: Path) -> None:
    text = next(bad.text for bad in BAD if bad.id == "through_stage_unknown").replace(
        "throughStage: all", "throughStage: canry"
    )
    (found,) = problems(text, tmp_path)
    assert found.text.endswith(": did you mean canary?")


def test_one_mistake_is_told_once(tmp_path: Path) -> None:
    (found,) = problems(PLAIN.replace("deviceFleetName: a b", "deviceFleetNam: a"), tmp_path)
    assert found.text == "unknown field: did you mean deviceFleetName, which is required?"
    (found,) = problems(PLAIN.replace("a b", "a").replace("store-cameras", "Store_Cameras"), tmp_path)
    assert found.field == "metadata.name"


LATER = " (rules over several fields are checked where each field is right)\n"


def test_problems_of_a_manifest_come_in_the_order_of_its_lines(tmp_path: Path) -> None:
    found = problems(PLAIN.replace("store-cameras", "Store") + "  stages: 3\n", tmp_path)
    assert len({each.line for each in found}) > 1
    assert [each.line for each in found] == sorted(each.line for each in found)


def test_files_that_cannot_be_read_are_counted_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("a.yaml", PLAIN), ("b.yaml", "a: ["), ("c.yaml", "- a\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["validate", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "1 checked, 2 files not read to the end, 3 problems" + LATER


def test_validate_prints_problems_and_says_so_with_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(PLAIN, encoding="utf-8")
    assert main(["validate", str(file)]) == 1
    output = capsys.readouterr()
    assert output.out.startswith(f"{file}:7: spec.deviceFleetName: ")
    assert output.err == "1 checked, 1 problem" + LATER
    file.write_text(PLAIN.replace("a b", "a-b"), encoding="utf-8")
    assert main(["validate", str(file)]) == 0
