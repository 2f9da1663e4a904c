"""Which namespaces the administrator means, by name and by label."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.aws.accounts import Accounts
from controller.aws.accounts_file import Account, read_accounts
from controller.aws.audience import Audience, Selector
from controller.domain.ownership import Reach
from controller.domain.resource import Scope
from controller.domain.spec import Target
from controller.engine.ports import TargetRefused
from tests.aws.conftest import REGION, account

RETAIL = {"team": "retail", "tier": "gold"}
GOLD = {"matchLabels": {"tier": "gold"}}


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        ({}, {}, True),
        ({"matchLabels": {"team": "retail"}}, RETAIL, True),
        ({"matchLabels": {"team": "retail", "tier": "silver"}}, RETAIL, False),
        ({"matchLabels": {"team": "retail"}}, {}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "silver"]}]}, RETAIL, True),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["silver"]}]}, RETAIL, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["silver"]}]}, {}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["silver"]}]}, {}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}, RETAIL, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, RETAIL, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, {}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, RETAIL, False),
        (
            {"matchLabels": {"team": "retail"}, "matchExpressions": [{"key": "old", "operator": "Exists"}]},
            RETAIL,
            False,
        ),
    ],
)
def test_a_selector_selects_as_kubernetes_does(selector: Any, labels: dict[str, str], *, selected: bool) -> None:
    assert Selector.model_validate(selector).selects(labels) is selected


@pytest.mark.parametrize(
    ("audience", "included"),
    [
        ({}, True),
        ({"namespaces": []}, False),
        ({"namespaces": ["*"]}, True),
        ({"namespaces": ["retail"]}, True),
        ({"namespaces": ["kitchen"]}, False),
        ({"namespaceSelector": GOLD}, True),
        ({"namespaceSelector": {"matchLabels": {"tier": "silver"}}}, False),
        ({"namespaces": ["kitchen"], "namespaceSelector": GOLD}, True),
    ],
)
def test_an_audience_is_all_or_those_named_or_selected(audience: Any, *, included: bool) -> None:
    assert Audience.model_validate(audience).includes("retail", RETAIL) is included


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"namespaceSelector": {"matchLabel": {}}}, "emea.namespaceSelector.matchLabel: unknown field"),
        (
            {"namespaceSelector": {"matchLabels": {"a": "b c"}}},
            "emea.namespaceSelector.matchLabels: .*'b c' is no value",
        ),
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "in", "values": ["b"]}]}},
            r"emea.namespaceSelector.matchExpressions\[0\].operator: .*'in'.*'In', 'NotIn', 'Exists' or 'DoesNotExist'",
        ),
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            r"emea.namespaceSelector.matchExpressions\[0\]: .*In and NotIn need values",
        ),
        (
            {"adopt": [{"plans": "any", "namespaces": []}]},
            r"emea.adopt\[0\]: .*namespaces or namespaceSelector is needed",
        ),
        ({"recreate": ["retail"]}, "emea.recreate: .*dictionary"),
    ],
)
def test_a_bad_audience_is_one_line_that_says_where_and_what(tmp_path: Path, bounds: Any, words: str) -> None:
    path = tmp_path / "accounts.yaml"
    role = {"roleArn": "arn:aws:iam::222222222222:role/edge", "regions": [REGION]}
    path.write_text(yaml.safe_dump({"emea": role | bounds}))
    with pytest.raises(ValueError, match=words):
        read_accounts(path)


def accounts_at(labels: dict[str, dict[str, str]], emea: Account) -> Accounts:
    return Accounts(
        region=REGION,
        accounts={"emea": emea},
        threads=1,
        timeout=1,
        labels_of=lambda namespace: labels.get(namespace, {}),
    )


def test_an_account_is_open_by_label_to_those_that_have_it_and_only_as_long_as_they_have() -> None:
    labels = {"retail": RETAIL, "kitchen": {}}
    accounts = accounts_at(labels, account(namespaceSelector=GOLD))
    assert accounts.scope("retail", Target(account="emea")) == Scope("emea", REGION)
    for closed in ("kitchen", "unknown"):
        with pytest.raises(TargetRefused, match=f"'emea' is not open to namespace '{closed}'"):
            accounts.scope(closed, Target(account="emea"))
    labels["retail"] = {}
    with pytest.raises(TargetRefused):
        accounts.scope("retail", Target(account="emea"))


def test_rights_go_by_label_too_and_recreate_is_open_until_it_is_said_to_whom() -> None:
    grants = [{"namespaceSelector": GOLD, "plans": "any"}, {"namespaces": ["*"], "plans": "own"}]
    labels, scope = {"retail": RETAIL}, Scope("emea", REGION)
    some = accounts_at(labels, account(adopt=grants, recreate={"namespaceSelector": GOLD}))
    assert (some.rights("retail", scope).adopt, some.rights("kitchen", scope).adopt) == (Reach.ANY, Reach.OWN)
    assert (some.rights("retail", scope).recreate, some.rights("kitchen", scope).recreate) == (True, False)
    assert accounts_at(labels, account()).rights("kitchen", scope).recreate
    assert not accounts_at(labels, account(recreate={"namespaces": []})).rights("retail", scope).recreate


@pytest.mark.parametrize(
    ("bounds", "selects"),
    [
        ({}, False),
        ({"namespaces": ["a"], "recreate": {"namespaces": []}}, False),
        ({"namespaceSelector": GOLD}, True),
        ({"observe": [{"namespaceSelector": GOLD, "plans": "any"}]}, True),
        ({"recreate": {"namespaceSelector": {}}}, True),
    ],
)
def test_labels_are_read_only_where_something_depends_on_them(bounds: Any, *, selects: bool) -> None:
    assert account(**bounds).selects is selects
