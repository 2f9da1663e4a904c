"""Every rule of the CRD, refused by the real API server at the same field and in the same words as by `edgeplan validate`."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from controller.schema.manifests import check
from playground.cluster import ApiError, Cluster
from tests.bad_manifests import BAD, Bad, good_spec, manifest
from tests.integration.operators import COLLECTION

PATH = f"{COLLECTION.format('default')}?dryRun=All&fieldValidation=Strict"


def _refusal(cluster: Cluster, body: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as caught:
        cluster.client.request("POST", PATH, body)
    assert caught.value.code in {400, 422}
    return str(caught.value)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.id)
def test_api_server_refuses_and_names_the_field(installed: Cluster, bad: Bad) -> None:
    message = _refusal(installed, bad.manifest)
    assert bad.field in message
    for words in bad.words:
        assert words in message


def test_api_server_takes_what_uses_every_field(installed: Cluster) -> None:
    taken = installed.client.request("POST", PATH, manifest(good_spec()))
    assert taken["spec"] == good_spec()  # no default rewrites what the user wrote
    assert taken["status"] == {"observedGeneration": -1}


def test_null_counts_as_left_out(installed: Cluster, tmp_path: Path) -> None:
    body = manifest({key: value for key, value in good_spec().items() if key != "rollout"} | {"stages": None})
    assert "stages" not in installed.client.request("POST", PATH, body)["spec"]
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(body))
    assert check([file]) == ([], 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"edgeDeploymentPlanName": "another"}, "edgeDeploymentPlanName cannot be changed"),
        ({"edgeDeploymentPlanName": None}, "edgeDeploymentPlanName cannot be changed"),
        ({"target": {"region": "us-east-1"}}, "target.region cannot be changed"),
        ({"target": {"account": "emea"}}, "target.account cannot be changed"),
    ],
)
def test_what_names_the_plan_at_aws_cannot_be_edited(
    installed: Cluster, namespace: str, change: dict[str, Any], words: str
) -> None:
    body = manifest(good_spec(), name="other-name")
    del body["spec"]["target"]
    path = COLLECTION.format(namespace)
    installed.client.request("POST", path, copy.deepcopy(body))
    with pytest.raises(ApiError, match=words):
        installed.client.request("PATCH", f"{path}/other-name", {"spec": change}, "application/merge-patch+json")


def test_naming_the_default_explicitly_is_no_change(installed: Cluster, namespace: str) -> None:
    spec = {key: value for key, value in good_spec().items() if key != "edgeDeploymentPlanName"}
    path = COLLECTION.format(namespace)
    installed.client.request("POST", path, manifest(spec))
    patch = {"spec": {"edgeDeploymentPlanName": "store-cameras"}}
    taken = installed.client.request("PATCH", f"{path}/store-cameras", patch, "application/merge-patch+json")
    assert taken["spec"]["edgeDeploymentPlanName"] == "store-cameras"
