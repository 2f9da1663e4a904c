"""`edgeplan validate` against the CRD's own CEL rules, by an evaluator of CEL: each refuses what the other refuses."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import cel
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.schema.crd import custom_resource_definition
from controller.schema.manifests import Manifest, check_one
from tests.bad_manifests import BAD, good_spec, manifest, selection

SCHEMA = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@cache
def compiled(rule: str) -> Any:
    return cel.compile(rule)


def broken(value: Any, schema: dict[str, Any] = SCHEMA) -> Iterator[str]:
    """The messages of all rules that do not hold for a value or for a part of it; but those about changes of it."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] and not compiled(rule["rule"]).execute({"self": value}):
            yield rule["message"]
    if isinstance(value, dict):
        for key, part in value.items():
            yield from broken(part, schema.get("properties", {}).get(key, {}))
    elif isinstance(value, list):
        for part in value:
            yield from broken(part, schema.get("items", {}))


def told(body: dict[str, Any]) -> set[str]:
    """What validate says, without what comes before the words."""
    file = Manifest("plan.yaml", yaml.MappingNode("", [], yaml.Mark("", 0, 0, 0, None, 0)), body)
    # Which values they are, behind the rule's words, the API server does not say.
    return {problem.text.removeprefix("Invalid value: ").partition(': "')[0] for problem in check_one(file)}


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


few = st.sampled_from(["a", "b", "c"])
percent = st.sampled_from([0, 1, 100])
selections = st.one_of(
    st.sampled_from(
        [
            selection("PERCENTAGE", percentage=10),
            selection("SELECTION", deviceNames=["till"]),
            selection("NAMECONTAINS", deviceNameContains="till"),
        ]
    ),
    st.builds(
        lambda kind, parts: selection(kind, **parts),
        st.sampled_from(["PERCENTAGE", "SELECTION", "NAMECONTAINS"]),
        optional(percentage=percent, deviceNames=st.lists(few, max_size=1), deviceNameContains=few),
    ),
)
stages = st.fixed_dictionaries({"stageName": few, "deviceSelectionConfig": selections})
tag_keys = st.sampled_from(["team", "a", "aws:", "aws:x", "aws", "edgeplan.dev/owner", "edgeplan.dev", "AWS:x"])
tags = st.one_of(
    st.lists(st.fixed_dictionaries({"key": tag_keys, "value": few}), max_size=3),
    st.integers(48, 50).map(lambda count: [{"key": f"k{number}", "value": ""} for number in range(count)]),
)
lengths = st.sampled_from(
    [
        "90s",
        "8760h",
        "8760h1s",
        "8759h60m",
        "8759h59m60s",
        "525600m",
        "525601m",
        "31536000s",
        "31536001s",
        "0s",
        "99999h",
        "9999999m",
        "999999999s",
        "0008760h",
        "00008760h",
        "1h1m1s",
        "99999999999999h",
    ]
)
rollouts = st.fixed_dictionaries(
    {"strategy": st.just("Sequential")},
    optional={
        "throughStage": few,
        "bakeTime": lengths,
        "progressDeadline": lengths,
        "maxFailedPercent": percent,
        "minDevices": st.sampled_from([1, 20]),
    },
)
specs = st.builds(
    lambda more: {"modelConfigs": [], "deviceFleetName": "f"} | more,
    optional(
        edgeDeploymentPlanName=few,
        stages=st.lists(stages, max_size=3),
        tags=tags,
        rollout=rollouts,
        policy=optional(management=st.sampled_from(["Manage", "Observe"])),
    ),
)
names = st.sampled_from(["store", "a.b", "a" * 63, "a" * 64, "a-b", "0"])


@settings(max_examples=150)
@given(st.builds(manifest, specs, names))
def test_validate_refuses_what_the_rules_refuse_and_nothing_else(body: dict[str, Any]) -> None:
    rules, ours = set(broken(body)), told(body)
    assert ours <= rules  # a rule over the whole is told once those over the parts hold
    assert bool(ours) == bool(rules)


def test_what_uses_every_field_breaks_no_rule() -> None:
    assert list(broken(manifest(good_spec()))) == []


def test_every_rule_is_broken_by_a_manifest_of_the_table() -> None:
    """The evaluator reaches each rule: none is held by its silence."""
    messages = {message for message in _messages(SCHEMA) if "cannot be changed" not in message}
    reached = set()
    for bad in BAD:
        words = [message for message in messages if any(word in message for word in bad.words if len(word) > 10)]
        if words:
            reached |= set(broken(bad.manifest)) & set(words)
    assert reached == messages


def _messages(schema: Any) -> set[str]:
    own = {rule["message"] for rule in schema.get("x-kubernetes-validations", ())}
    parts = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return own.union(*map(_messages, parts))
