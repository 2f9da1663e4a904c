"""What `edgeplan export` writes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from controller.commands.export import object_names
from controller.schema.manifests import check
from edge_manager.sandbox.server import Sandbox
from tests.commands.conftest import Ended, golden

Run = Callable[..., Ended]


def test_manifest_of_a_plan_has_what_aws_has_and_no_more(
    edgeplan: Run, at_aws: Callable[..., str], sandbox: Sandbox
) -> None:
    at_aws("Store-1", tags={"team": "retail", "on": "yes", "edgeplan.dev/owner": "prod/retail/gone/1"})
    ended = edgeplan("export", "Store-1", "--namespace", "retail")
    golden("export.yaml", ended.out)
    assert ended.code == 0
    assert "note: Store-1 belongs to prod/retail/gone/1" in ended.err
    assert sandbox.counts() == {"DescribeEdgeDeploymentPlan": 1, "ListTags": 1}


def test_plan_with_a_valid_object_name_needs_no_other(edgeplan: Run, at_aws: Callable[..., str]) -> None:
    at_aws(Stages=[])
    body = yaml.safe_load(edgeplan("export", "store").out)
    assert body["metadata"] == {"name": "store"}
    assert body["spec"].keys() == {"modelConfigs", "deviceFleetName", "policy"}


def test_several_plans_are_several_documents_in_the_order_given(
    edgeplan: Run, at_aws: Callable[..., str], tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        at_aws(name)
    out = edgeplan("export", "c", "a", "c").out
    assert [body["metadata"]["name"] for body in yaml.safe_load_all(out)] == ["c", "a"]
    everything = edgeplan("export", "--all").out
    assert [body["metadata"]["name"] for body in yaml.safe_load_all(everything)] == ["a", "b", "c"]
    (tmp_path / "all.yaml").write_text(everything)
    assert check([tmp_path / "all.yaml"]) == ([], 3)


def test_unknown_name_is_named_and_the_others_are_written(edgeplan: Run, at_aws: Callable[..., str]) -> None:
    at_aws()
    ended = edgeplan("export", "stroe", "store")
    assert ended.err == "error: there is no edge deployment plan stroe in eu-west-1\n"
    assert yaml.safe_load(ended.out)["metadata"]["name"] == "store"
    assert ended.code == 1


def test_region_that_was_given_stays_in_the_manifest(edgeplan: Run, sandbox: Sandbox, sagemaker: Any) -> None:
    assert (
        "there is no edge deployment plan store in us-east-1"
        in edgeplan("export", "store", "--aws-region", "us-east-1").err
    )
    sagemaker.create_edge_deployment_plan(
        EdgeDeploymentPlanName="store",
        DeviceFleetName="store",
        ModelConfigs=[{"ModelHandle": "a", "EdgePackagingJobName": "b"}],
    )
    body = yaml.safe_load(edgeplan("export", "store", "--aws-region", "eu-west-1").out)
    assert body["spec"]["target"] == {"region": "eu-west-1"}
    assert sandbox.plans(region="us-east-1") == []


def test_plan_that_cannot_be_managed_is_written_with_the_reason(edgeplan: Run, at_aws: Callable[..., str]) -> None:
    at_aws(tags={f"key-{number:02}": "value" for number in range(50)})
    ended = edgeplan("export", "store")
    assert "error: store cannot be adopted as it is: spec.tags: " in ended.err
    assert "at most 49 tags" in ended.err
    assert len(yaml.safe_load(ended.out)["spec"]["tags"]) == 50
    assert ended.code == 1


def test_refusal_by_aws_names_operation_and_code(edgeplan: Run, sandbox: Sandbox) -> None:
    sandbox.fault("DescribeEdgeDeploymentPlan", error="ThrottlingException", message="Rate exceeded", status=400)
    ended = edgeplan("export", "store")
    assert "ThrottlingException: Rate exceeded" in ended.err
    assert (ended.code, ended.out) == (2, "")


def test_names_that_differ_in_case_alone_stay_apart() -> None:
    names = object_names(["Store", "store", "STORE", "other"])
    assert names["store"] == "store"
    assert names["other"] == "other"
    assert len(set(names.values())) == 4
    assert all(name == name.lower() for name in names.values())
