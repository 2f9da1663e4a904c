"""Manifests that must be refused, as data: by `edgeplan validate` and by the API server, at the same field.

Each row changes one thing of a good manifest. `words` must stand in the message of whoever refuses it.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from controller.domain.api import API_VERSION, KIND

DROP: Any = object()
"""In a change: the field is left out."""

NAME_63 = "a" * 63
NAME_64 = "a" * 64


@dataclass(frozen=True)
class Bad:
    """One refused manifest: what is changed, the field that is named, and words of the message."""

    id: str
    change: dict[str, Any] = field(hash=False)
    field: str
    words: tuple[str, ...]
    name: str = "store-cameras"

    @property
    def spec(self) -> dict[str, Any]:
        """The spec with the change in it."""
        return {key: value for key, value in (good_spec() | self.change).items() if value is not DROP}

    @property
    def manifest(self) -> dict[str, Any]:
        """The whole object."""
        return manifest(self.spec, self.name)

    @property
    def text(self) -> str:
        """The manifest as YAML."""
        return yaml.safe_dump(self.manifest, sort_keys=False)


def manifest(spec: dict[str, Any], name: str = "store-cameras") -> dict[str, Any]:
    """An object of that spec."""
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}


def good_spec() -> dict[str, Any]:
    """A spec that uses every field and breaks nothing."""
    return {
        "edgeDeploymentPlanName": "store-cameras",
        "modelConfigs": [{"modelHandle": "people-counter", "edgePackagingJobName": "people-counter-v7"}],
        "deviceFleetName": "store-cameras",
        "stages": [
            stage("canary", selection("NAMECONTAINS", deviceNameContains="canary")),
            stage("named", selection("SELECTION", deviceNames=["till-1", "till-2"])),
            stage("fleet", selection("PERCENTAGE", percentage=100), policy="ROLLBACK_ON_FAILURE"),
        ],
        "tags": [{"key": "team", "value": "retail"}],
        "suspend": False,
        "policy": {"management": "Manage", "deletion": "Delete", "adoption": "Never", "replacement": "Never"},
        "rollout": {
            "strategy": "Sequential",
            "throughStage": "canary",
            "bakeTime": "30m",
            "progressDeadline": "1h30m",
            "maxFailedPercent": 5,
            "minDevices": 20,
        },
        "target": {"account": "retail", "region": "eu-west-1"},
    }


def stage(name: Any, device_selection: dict[str, Any], policy: str | None = None) -> dict[str, Any]:
    """One stage."""
    config = {"deploymentConfig": {"failureHandlingPolicy": policy}} if policy else {}
    return {"stageName": name, "deviceSelectionConfig": device_selection, **config}


def selection(kind: Any, **more: Any) -> dict[str, Any]:
    """A deviceSelectionConfig."""
    return {"deviceSubsetType": kind, **more}


def _select(kind: Any, **more: Any) -> dict[str, Any]:
    return {"stages": [stage("canary", selection(kind, **more))], "rollout": DROP}


def _stages(*stages: Any) -> dict[str, Any]:
    return {"stages": list(stages), "rollout": DROP}


def _stage(**change: Any) -> dict[str, Any]:
    changed = stage("canary", selection("PERCENTAGE", percentage=10)) | change
    return _stages({key: value for key, value in changed.items() if value is not DROP})


def _rollout(**change: Any) -> dict[str, Any]:
    changed = good_spec()["rollout"] | change
    return {"rollout": {key: value for key, value in changed.items() if value is not DROP}}


def _model(**change: Any) -> dict[str, Any]:
    changed = good_spec()["modelConfigs"][0] | change
    return {"modelConfigs": [{key: value for key, value in changed.items() if value is not DROP}]}


def _tag(**change: Any) -> dict[str, Any]:
    changed = {"key": "team", "value": "retail"} | change
    return {"tags": [{key: value for key, value in changed.items() if value is not DROP}]}


def _tags(count: int) -> list[dict[str, str]]:
    return [{"key": f"key-{number}", "value": ""} for number in range(count)]


_NAME = "should match"  # of the API server, with its pattern; `edgeplan validate` tells what to write instead
_SELECTION = "spec.stages[0].deviceSelectionConfig"
_PERCENTAGE = "deviceSubsetType PERCENTAGE needs percentage, and neither deviceNames nor deviceNameContains"
_NAMES = "deviceSubsetType SELECTION needs deviceNames, and neither percentage nor deviceNameContains"
_CONTAINS = "deviceSubsetType NAMECONTAINS needs deviceNameContains, and neither percentage nor deviceNames"

BAD: tuple[Bad, ...] = (
    # edgeDeploymentPlanName and its default
    Bad("plan_name_empty", {"edgeDeploymentPlanName": ""}, "spec.edgeDeploymentPlanName", ("at least 1",)),
    Bad("plan_name_too_long", {"edgeDeploymentPlanName": NAME_64}, "spec.edgeDeploymentPlanName", ("63",)),
    Bad("plan_name_with_a_dot", {"edgeDeploymentPlanName": "a.b"}, "spec.edgeDeploymentPlanName", (_NAME,)),
    Bad("plan_name_ends_with_hyphen", {"edgeDeploymentPlanName": "a-"}, "spec.edgeDeploymentPlanName", (_NAME,)),
    Bad("plan_name_a_number", {"edgeDeploymentPlanName": 7}, "spec.edgeDeploymentPlanName", ("string",)),
    Bad("object_name_with_a_dot", {"edgeDeploymentPlanName": DROP}, "spec", ("edgeDeploymentPlanName is needed",), "a.b"),
    Bad("object_name_too_long", {"edgeDeploymentPlanName": DROP}, "spec", ("edgeDeploymentPlanName is needed",), NAME_64),
    # modelConfigs
    Bad("models_missing", {"modelConfigs": DROP}, "spec.modelConfigs", ("Required value",)),
    Bad("models_no_list", {"modelConfigs": "people-counter"}, "spec.modelConfigs", ()),
    Bad("model_no_object", {"modelConfigs": ["people-counter"]}, "spec.modelConfigs[0]", ()),
    Bad("model_handle_missing", _model(modelHandle=DROP), "spec.modelConfigs[0].modelHandle", ("Required value",)),
    Bad("model_handle_empty", _model(modelHandle=""), "spec.modelConfigs[0].modelHandle", ("at least 1",)),
    Bad("model_handle_too_long", _model(modelHandle=NAME_64), "spec.modelConfigs[0].modelHandle", ("63",)),
    Bad("model_handle_with_underscore", _model(modelHandle="a_b"), "spec.modelConfigs[0].modelHandle", (_NAME,)),
    Bad("model_handle_a_number", _model(modelHandle=7), "spec.modelConfigs[0].modelHandle", ("string",)),
    Bad("job_missing", _model(edgePackagingJobName=DROP), "spec.modelConfigs[0].edgePackagingJobName", ("Required value",)),
    Bad("job_empty", _model(edgePackagingJobName=""), "spec.modelConfigs[0].edgePackagingJobName", ("at least 1",)),
    Bad("job_too_long", _model(edgePackagingJobName=NAME_64), "spec.modelConfigs[0].edgePackagingJobName", ("63",)),
    Bad("job_with_a_blank", _model(edgePackagingJobName="a b"), "spec.modelConfigs[0].edgePackagingJobName", (_NAME,)),
    Bad("model_unknown_field", _model(modelVersion="7"), "spec.modelConfigs[0].modelVersion", ("unknown field",)),
    # deviceFleetName
    Bad("fleet_missing", {"deviceFleetName": DROP}, "spec.deviceFleetName", ("Required value",)),
    Bad("fleet_empty", {"deviceFleetName": ""}, "spec.deviceFleetName", ("at least 1",)),
    Bad("fleet_too_long", {"deviceFleetName": NAME_64}, "spec.deviceFleetName", ("63",)),
    Bad("fleet_starts_with_hyphen", {"deviceFleetName": "-a"}, "spec.deviceFleetName", (_NAME,)),
    Bad("fleet_a_list", {"deviceFleetName": ["a"]}, "spec.deviceFleetName", ("string",)),
    # stages
    Bad("stages_no_list", {"stages": {"canary": 1}, "rollout": DROP}, "spec.stages", ()),
    Bad(
        "eleven_stages",
        _stages(*(stage(f"stage-{number}", selection("PERCENTAGE", percentage=1)) for number in range(11))),
        "spec.stages",
        ("at most 10",),
    ),
    Bad(
        "stage_names_twice",
        _stages(*(stage("canary", selection("PERCENTAGE", percentage=each)) for each in (1, 2))),
        "spec.stages",
        ("stageName must be unique among the stages",),
    ),
    Bad("stage_name_missing", _stage(stageName=DROP), "spec.stages[0].stageName", ("Required value",)),
    Bad("stage_name_empty", _stage(stageName=""), "spec.stages[0].stageName", ("at least 1",)),
    Bad("stage_name_too_long", _stage(stageName=NAME_64), "spec.stages[0].stageName", ("63",)),
    Bad("stage_name_with_a_slash", _stage(stageName="a/b"), "spec.stages[0].stageName", (_NAME,)),
    Bad("stage_unknown_field", _stage(devices=3), "spec.stages[0].devices", ("unknown field",)),
    # deviceSelectionConfig
    Bad("selection_missing", _stage(deviceSelectionConfig=DROP), _SELECTION, ("Required value",)),
    Bad("selection_no_object", _stage(deviceSelectionConfig="all"), _SELECTION, ()),
    Bad(
        "subset_type_missing",
        _stage(deviceSelectionConfig={"percentage": 10}),
        f"{_SELECTION}.deviceSubsetType",
        ("Required value",),
    ),
    Bad(
        "subset_type_unknown",
        _select("EVERYTHING"),
        f"{_SELECTION}.deviceSubsetType",
        ("PERCENTAGE", "SELECTION", "NAMECONTAINS"),
    ),
    Bad("percentage_absent", _select("PERCENTAGE"), _SELECTION, (_PERCENTAGE,)),
    Bad("percentage_with_names", _select("PERCENTAGE", percentage=1, deviceNames=["a"]), _SELECTION, (_PERCENTAGE,)),
    Bad(
        "percentage_with_contains",
        _select("PERCENTAGE", percentage=1, deviceNameContains="a"),
        _SELECTION,
        (_PERCENTAGE,),
    ),
    Bad("percentage_only_names", _select("PERCENTAGE", deviceNames=["a"]), _SELECTION, (_PERCENTAGE,)),
    Bad("percentage_only_contains", _select("PERCENTAGE", deviceNameContains="a"), _SELECTION, (_PERCENTAGE,)),
    Bad("names_absent", _select("SELECTION"), _SELECTION, (_NAMES,)),
    Bad("names_with_percentage", _select("SELECTION", deviceNames=["a"], percentage=1), _SELECTION, (_NAMES,)),
    Bad("names_with_contains", _select("SELECTION", deviceNames=["a"], deviceNameContains="a"), _SELECTION, (_NAMES,)),
    Bad("names_only_percentage", _select("SELECTION", percentage=1), _SELECTION, (_NAMES,)),
    Bad("names_only_contains", _select("SELECTION", deviceNameContains="a"), _SELECTION, (_NAMES,)),
    Bad("contains_absent", _select("NAMECONTAINS"), _SELECTION, (_CONTAINS,)),
    Bad(
        "contains_with_percentage",
        _select("NAMECONTAINS", deviceNameContains="a", percentage=0),
        _SELECTION,
        (_CONTAINS,),
    ),
    Bad(
        "contains_with_names",
        _select("NAMECONTAINS", deviceNameContains="a", deviceNames=["a"]),
        _SELECTION,
        (_CONTAINS,),
    ),
    Bad("contains_only_percentage", _select("NAMECONTAINS", percentage=1), _SELECTION, (_CONTAINS,)),
    Bad("contains_only_names", _select("NAMECONTAINS", deviceNames=["a"]), _SELECTION, (_CONTAINS,)),
    Bad("all_three", _select("PERCENTAGE", percentage=1, deviceNames=["a"], deviceNameContains="a"), _SELECTION, (_PERCENTAGE,)),
    Bad(
        "percentage_below_0",
        _select("PERCENTAGE", percentage=-1),
        f"{_SELECTION}.percentage",
        ("greater than or equal to 0",),
    ),
    Bad(
        "percentage_over_100",
        _select("PERCENTAGE", percentage=101),
        f"{_SELECTION}.percentage",
        ("less than or equal to 100",),
    ),
    Bad("percentage_a_text", _select("PERCENTAGE", percentage="10"), f"{_SELECTION}.percentage", ("integer",)),
    Bad("percentage_a_fraction", _select("PERCENTAGE", percentage=2.5), f"{_SELECTION}.percentage", ("integer",)),
    Bad("device_names_no_list", _select("SELECTION", deviceNames="till-1"), f"{_SELECTION}.deviceNames", ()),
    Bad("device_name_empty", _select("SELECTION", deviceNames=[""]), f"{_SELECTION}.deviceNames[0]", ("at least 1",)),
    Bad("device_name_too_long", _select("SELECTION", deviceNames=["a", NAME_64]), f"{_SELECTION}.deviceNames[1]", ("63",)),
    Bad("device_name_with_a_blank", _select("SELECTION", deviceNames=["a b"]), f"{_SELECTION}.deviceNames[0]", (_NAME,)),
    Bad(
        "name_contains_empty",
        _select("NAMECONTAINS", deviceNameContains=""),
        f"{_SELECTION}.deviceNameContains",
        ("at least 1",),
    ),
    Bad(
        "name_contains_too_long",
        _select("NAMECONTAINS", deviceNameContains=NAME_64),
        f"{_SELECTION}.deviceNameContains",
        ("63",),
    ),
    Bad(
        "name_contains_a_star",
        _select("NAMECONTAINS", deviceNameContains="till-*"),
        f"{_SELECTION}.deviceNameContains",
        (_NAME,),
    ),
    Bad("selection_unknown_field", _select("PERCENTAGE", percentage=1, count=3), f"{_SELECTION}.count", ("unknown field",)),
    # deploymentConfig
    Bad(
        "failure_policy_missing",
        _stage(deploymentConfig={}),
        "spec.stages[0].deploymentConfig.failureHandlingPolicy",
        ("Required value",),
    ),
    Bad(
        "failure_policy_unknown",
        _stage(deploymentConfig={"failureHandlingPolicy": "ROLLBACK"}),
        "spec.stages[0].deploymentConfig.failureHandlingPolicy",
        ("ROLLBACK_ON_FAILURE", "DO_NOTHING"),
    ),
    # tags
    Bad("tags_a_map", {"tags": {"team": "retail"}}, "spec.tags", ()),
    Bad("tag_key_missing", _tag(key=DROP), "spec.tags[0].key", ("Required value",)),
    Bad("tag_value_missing", _tag(value=DROP), "spec.tags[0].value", ("Required value",)),
    Bad("tag_key_empty", _tag(key=""), "spec.tags[0].key", ("at least 1",)),
    Bad("tag_key_too_long", _tag(key="a" * 129), "spec.tags[0].key", ("128",)),
    Bad("tag_value_too_long", _tag(value="a" * 257), "spec.tags[0].value", ("256",)),
    Bad("tag_key_bad_character", _tag(key="a;b"), "spec.tags[0].key", (_NAME,)),
    Bad("tag_value_bad_character", _tag(value="a;b"), "spec.tags[0].value", (_NAME,)),
    Bad("tag_value_a_number", _tag(value=7), "spec.tags[0].value", ("string",)),
    Bad("tag_key_of_aws", _tag(key="aws:created"), "spec.tags[0].key", ("must not start with aws:",)),
    Bad("tag_key_of_the_controller", _tag(key="edgeplan.dev/owner"), "spec.tags[0].key", ("must not start with edgeplan.dev/",)),
    Bad("tag_keys_twice", {"tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}, "spec.tags", ("key must be unique among the tags",)),
    Bad("fifty_one_tags", {"tags": _tags(51)}, "spec.tags", ("at most 50",)),
    Bad("fifty_tags_under_manage", {"tags": _tags(50)}, "spec.tags", ("at most 49 tags under policy.management Manage",)),
    Bad(
        "fifty_tags_without_a_policy",
        {"tags": _tags(50), "policy": DROP},
        "spec.tags",
        ("at most 49 tags under policy.management Manage",),
    ),
    # suspend and policy
    Bad("suspend_a_text", {"suspend": "true"}, "spec.suspend", ("boolean",)),
    Bad("suspend_a_number", {"suspend": 1}, "spec.suspend", ("boolean",)),
    Bad("management_unknown", {"policy": {"management": "Watch"}}, "spec.policy.management", ("Manage", "Observe")),
    Bad("management_lower_case", {"policy": {"management": "observe"}}, "spec.policy.management", ("Manage", "Observe")),
    Bad("deletion_unknown", {"policy": {"deletion": "Orphan"}}, "spec.policy.deletion", ("Delete", "Retain")),
    Bad("adoption_unknown", {"policy": {"adoption": "Always"}}, "spec.policy.adoption", ("Never", "Adopt")),
    Bad("replacement_unknown", {"policy": {"replacement": "Always"}}, "spec.policy.replacement", ("Never", "Recreate")),
    Bad("policy_unknown_field", {"policy": {"prune": True}}, "spec.policy.prune", ("unknown field",)),
    # rollout
    Bad("strategy_missing", _rollout(strategy=DROP), "spec.rollout.strategy", ("Required value",)),
    Bad("strategy_unknown", _rollout(strategy="Parallel"), "spec.rollout.strategy", ("Sequential",)),
    Bad("through_stage_unknown", _rollout(throughStage="all"), "spec.rollout.throughStage", ("throughStage must be the stageName of one of the stages", '"all" is none of')),
    Bad("through_stage_bad_name", _rollout(throughStage="a b"), "spec.rollout.throughStage", (_NAME,)),
    Bad("through_stage_too_long", _rollout(throughStage=NAME_64), "spec.rollout.throughStage", ("63",)),
    Bad("through_stage_empty", _rollout(throughStage=""), "spec.rollout.throughStage", ("at least 1",)),
    Bad("rollout_without_stages", {"stages": DROP} | _rollout(throughStage=DROP), "spec.rollout", ("rollout needs at least one stage",)),
    Bad("rollout_of_no_stages", {"stages": []} | _rollout(throughStage=DROP), "spec.rollout", ("rollout needs at least one stage",)),
    Bad("bake_time_without_unit", _rollout(bakeTime="30"), "spec.rollout.bakeTime", (_NAME,)),
    Bad("bake_time_in_days", _rollout(bakeTime="1d"), "spec.rollout.bakeTime", (_NAME,)),
    Bad("bake_time_empty", _rollout(bakeTime=""), "spec.rollout.bakeTime", ("at least 2",)),
    Bad("bake_time_too_long", _rollout(bakeTime="1" * 16 + "s"), "spec.rollout.bakeTime", ("16",)),
    Bad("bake_time_over_a_year", _rollout(bakeTime="8760h1s"), "spec.rollout.bakeTime", ("bakeTime must be at most 8760h, a year",)),
    Bad("bake_time_of_many_hours", _rollout(bakeTime="99999999999h"), "spec.rollout.bakeTime", ("bakeTime must be at most 8760h, a year",)),
    Bad("bake_time_of_many_seconds", _rollout(bakeTime="999999999999999s"), "spec.rollout.bakeTime", ("bakeTime must be at most 8760h, a year",)),
    Bad("deadline_over_a_year", _rollout(progressDeadline="525601m"), "spec.rollout.progressDeadline", ("progressDeadline must be at most 8760h, a year",)),
    Bad("bake_time_a_number", _rollout(bakeTime=30), "spec.rollout.bakeTime", ("string",)),
    Bad("deadline_with_a_fraction", _rollout(progressDeadline="1.5h"), "spec.rollout.progressDeadline", (_NAME,)),
    Bad("deadline_negative", _rollout(progressDeadline="-5m"), "spec.rollout.progressDeadline", (_NAME,)),
    Bad("deadline_units_out_of_order", _rollout(progressDeadline="5m1h"), "spec.rollout.progressDeadline", (_NAME,)),
    Bad("deadline_empty", _rollout(progressDeadline=""), "spec.rollout.progressDeadline", ("at least 2",)),
    Bad("deadline_too_long", _rollout(progressDeadline="1" * 16 + "s"), "spec.rollout.progressDeadline", ("16",)),
    Bad("max_failed_below_0", _rollout(maxFailedPercent=-1), "spec.rollout.maxFailedPercent", ("greater than or equal to 0",)),
    Bad("max_failed_over_100", _rollout(maxFailedPercent=101), "spec.rollout.maxFailedPercent", ("less than or equal to 100",)),
    Bad("max_failed_a_text", _rollout(maxFailedPercent="5%"), "spec.rollout.maxFailedPercent", ("integer",)),
    Bad("min_devices_0", _rollout(minDevices=0), "spec.rollout.minDevices", ("greater than or equal to 1",)),
    Bad("min_devices_over_a_million", _rollout(minDevices=1_000_001), "spec.rollout.minDevices", ("less than or equal to 1",)),
    Bad("min_devices_alone", _rollout(maxFailedPercent=DROP), "spec.rollout.minDevices", ("minDevices needs maxFailedPercent",)),
    Bad("rollout_unknown_field", _rollout(parallel=2), "spec.rollout.parallel", ("unknown field",)),
    # target
    Bad("account_empty", {"target": {"account": ""}}, "spec.target.account", ("at least 1",)),
    Bad("account_too_long", {"target": {"account": NAME_64}}, "spec.target.account", ("63",)),
    Bad("account_upper_case", {"target": {"account": "Retail"}}, "spec.target.account", (_NAME,)),
    Bad("account_a_number", {"target": {"account": 123456789012}}, "spec.target.account", ("string",)),
    Bad("region_empty", {"target": {"region": ""}}, "spec.target.region", ("at least 1",)),
    Bad("region_too_long", {"target": {"region": "eu-" + "w" * 30 + "-1"}}, "spec.target.region", ("32",)),
    Bad("region_a_zone", {"target": {"region": "eu-west-1a"}}, "spec.target.region", (_NAME,)),
    Bad("target_unknown_field", {"target": {"zone": "a"}}, "spec.target.zone", ("unknown field",)),
    # the whole
    Bad("unknown_field", {"deviceFleet": "store-cameras"}, "spec.deviceFleet", ("unknown field",)),
    Bad("name_as_aws_spells_it", {"EdgeDeploymentPlanName": "a"}, "spec.EdgeDeploymentPlanName", ("unknown field",)),
)  # fmt: skip
