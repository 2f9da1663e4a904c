"""Which accounts, regions and plans are open to whom, and the clients that reach them."""

import asyncio
import resource
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from controller.aws import accounts as accounts_module
from controller.aws.accounts import OPEN_CLIENTS, Accounts
from controller.aws.accounts_file import Account, OwnAccount, read_accounts, read_own_account
from controller.aws.sagemaker import SageMakerPlans
from controller.aws.sessions import known_regions
from controller.domain.actions import CreatePlan
from controller.domain.ownership import Reach, Rights
from controller.domain.resource import Scope
from controller.domain.spec import ModelConfig, Target
from controller.engine.ports import AwsError, TargetRefused
from edge_manager.sandbox.server import Sandbox
from tests.aws.conftest import REGION, Endpoint, Said, account, accounts_at

ROLE = "arn:aws:iam::222222222222:role/edge"
IDENTITY = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>{}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"

NO_EDIT = "(whoever runs the operator can open it; spec.target cannot be edited, a new object can have a different one)"


def write(folder: Path, content: Any) -> Path:
    path = folder / "accounts.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def own(**bounds: Any) -> OwnAccount:
    return OwnAccount.model_validate(bounds)


def refusal(accounts: Accounts, namespace: str, **target: str) -> str:
    with pytest.raises(TargetRefused) as caught:
        accounts.scope(namespace, Target(**target))
    return str(caught.value)


# -- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"default": {"roleArn": ROLE, "regions": [REGION]}}, ("default", "the name of the operator's own account")),
        ({"Stores": {"roleArn": ROLE, "regions": [REGION]}}, ("Stores", "lowercase letters")),
        ({"emea": {"regions": [REGION]}}, ("emea.roleArn", "Required value")),
        (
            {"emea": {"roleArn": "edge", "regions": [REGION]}},
            ("emea.roleArn", "'edge'", "arn:aws:iam::111122223333:role/"),
        ),
        ({"emea": {"roleArn": ROLE, "regions": []}}, ("emea.regions", "at least one is needed")),
        (
            {"emea": {"roleArn": ROLE, "regions": ["eu-wset-1"]}},
            ("emea.regions", "eu-wset-1", "did you mean eu-west-1?"),
        ),
        (
            {"emea": {"roleArn": ROLE, "regions": [REGION], "namespaces": ["team-*"]}},
            ("emea.namespaces[0]", "'team-*'"),
        ),
        ({"emea": {"roleArn": ROLE, "regions": [REGION], "namespace": "a"}}, ("emea.namespace", "unknown field")),
        (
            {"emea": {"roleArn": ROLE, "regions": [REGION], "adopt": [{"namespaces": ["a"], "plans": "all"}]}},
            ("emea.adopt[0].plans", "'all'", "'own', 'unowned', 'cluster' or 'any'"),
        ),
        (
            {"emea": {"roleArn": ROLE, "regions": [REGION], "observe": [{"plans": "any"}]}},
            ("emea.observe[0]", "namespaces or namespaceSelector is needed"),
        ),
        ({"emea": 7}, ("emea", "dictionary")),
        ([1], ("dictionary",)),
        ("emea: {a: 1\n - ", ("expected ',' or '}'",)),
        ("emea: {roleArn: a}\nemea: {roleArn: b}\n", ("emea comes twice",)),
        ("\x00", ("special characters are not allowed",)),
    ],
)
def test_a_bad_file_is_one_line_that_says_where_and_what(tmp_path: Path, content: Any, words: tuple[str, ...]) -> None:
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=f"accounts file {path}: ") as caught:
        read_accounts(path)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_one_line_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_accounts(tmp_path / "none.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_accounts(tmp_path / "binary")


def test_an_empty_file_opens_nothing(tmp_path: Path) -> None:
    assert read_accounts(write(tmp_path, "")) == {}


def test_a_good_file_is_read(tmp_path: Path) -> None:
    content = {"emea": {"roleArn": ROLE, "regions": [REGION], "adopt": [{"namespaces": ["*"], "plans": "own"}]}}
    found = read_accounts(write(tmp_path, content))["emea"]
    assert (found.id, found.regions, found.namespaces) == ("222222222222", (REGION,), None)


@pytest.mark.parametrize(
    ("content", "flags", "words"),
    [
        ({"regions": ["eu-wset-1"]}, {}, "own account file .*: regions: Invalid value: eu-wset-1: not a region"),
        ({"enabled": "perhaps"}, {}, "own account file .*: enabled: "),
        ({"roleArn": ROLE}, {}, "roleArn: unknown field"),
        (
            {"regions": [REGION]},
            {"regions": [REGION]},
            "--aws-regions and regions in the own account file .* say the same twice",
        ),
        ({"regions": [REGION]}, {"region": "us-east-1"}, "--aws-region us-east-1 is not open .* open: eu-west-1"),
        ({}, {"regions": [REGION], "region": "us-east-1"}, "--aws-region us-east-1 is not open .* open: eu-west-1"),
        ({}, {"regions": ["eu-wset-1"]}, "--aws-regions: eu-wset-1: not a region .* did you mean eu-west-1"),
        ({}, {"region": "Ireland"}, "--aws-region or --aws-regions: Ireland: not a region .* such as eu-west-1"),
    ],
)
def test_bad_bounds_of_the_own_account_are_refused(
    tmp_path: Path, content: dict[str, Any], flags: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        read_own_account(write(tmp_path, content), **flags)


@pytest.mark.parametrize(
    ("content", "flags", "regions"),
    [
        (None, {}, None),
        (None, {"region": REGION}, (REGION,)),
        (None, {"regions": ["eu-west-1", "us-east-1"]}, ("eu-west-1", "us-east-1")),
        (None, {"regions": ["eu-west-1", "us-east-1"], "region": "us-east-1"}, ("eu-west-1", "us-east-1")),
        ({"regions": ["us-east-1"]}, {}, ("us-east-1",)),
        ({"namespaces": ["retail"]}, {"region": REGION}, (REGION,)),
    ],
)
def test_the_own_account_has_the_regions_of_file_or_flags(
    tmp_path: Path, content: dict[str, Any] | None, flags: dict[str, Any], regions: tuple[str, ...] | None
) -> None:
    path = None if content is None else write(tmp_path, content)
    assert read_own_account(path, **flags).regions == regions


# -- who may go where -----------------------------------------------------------------------------------------------


def test_the_regions_are_those_of_all_partitions() -> None:
    session = boto3.Session()
    for partition in session.get_available_partitions():
        assert set(session.get_available_regions("sagemaker", partition)) <= known_regions()
    assert not [region for region in known_regions() if region.endswith("-global")]


def test_an_unknown_account_and_one_that_is_closed_read_the_same_and_name_no_other() -> None:
    accounts = accounts_at("http://none.invalid", emea=account(namespaces=["kitchen"]), apac=account())
    unknown, closed = (refusal(accounts, "retail", account=name) for name in ("nope", "emea"))
    assert (
        unknown.replace("nope", "emea")
        == closed
        == f"spec.target.account 'emea' is not open to namespace 'retail' {NO_EDIT}"
    )


def test_a_closed_region_tells_what_is_open_there_and_nowhere_else() -> None:
    accounts = accounts_at("http://none.invalid", own(regions=["eu-west-1"]), emea=account("eu-north-1", "eu-west-3"))
    assert refusal(accounts, "retail", region="us-east-1") == (
        f"spec.target.region 'us-east-1' is not open in the operator's own account; open: eu-west-1 {NO_EDIT}"
    )
    assert refusal(accounts, "retail", region="us-east-1", account="emea") == (
        f"spec.target.region 'us-east-1' is not open in account 'emea'; open: eu-north-1, eu-west-3 {NO_EDIT}"
    )


def test_a_region_that_nobody_knows_is_refused_where_all_are_open() -> None:
    accounts = accounts_at("http://none.invalid")
    assert accounts.scope("retail", Target(region="ap-south-2")) == Scope("default", "ap-south-2")
    assert "not a region" in refusal(accounts, "retail", region="eu-nowhere-7")


def test_a_region_that_the_administrator_adds_is_known_everywhere(tmp_path: Path) -> None:
    extra = ["eu-shop-1"]
    found = read_accounts(write(tmp_path, {"emea": {"roleArn": ROLE, "regions": extra}}), extra)
    own_account = read_own_account(write(tmp_path, {"regions": extra}), extra_regions=extra)
    accounts = Accounts(region=None, accounts=found, threads=1, timeout=1, own=own_account, extra_regions=extra)
    assert accounts.scope("retail", None) == Scope("default", "eu-shop-1")
    assert accounts.scope("retail", Target(account="emea")) == Scope("emea", "eu-shop-1")
    everything = Accounts(region=None, accounts={}, threads=1, timeout=1, extra_regions=extra)
    assert everything.scope("retail", Target(region="eu-shop-1")) == Scope("default", "eu-shop-1")
    assert refusal(everything, "retail", region="eu-shop-2") == (
        f"spec.target.region eu-shop-2: not a region that the AWS SDK knows, did you mean eu-shop-1? {NO_EDIT}"
    )


def test_an_account_named_as_the_operators_own_is_not_it() -> None:
    assert "is not open" in refusal(accounts_at("http://none.invalid"), "retail", account="default")


@pytest.mark.parametrize("bounds", [{"enabled": False}, {"namespaces": []}, {"namespaces": ["kitchen"]}])
def test_the_own_account_can_be_closed(bounds: dict[str, Any]) -> None:
    accounts = accounts_at("http://none.invalid", own(**bounds), emea=account())
    assert refusal(accounts, "retail") == (
        "the operator's own account is not open to namespace 'retail': spec.target.account must name one that is "
        + NO_EDIT
    )
    assert accounts.scope("retail", Target(account="emea")) == Scope("emea", REGION)


def test_the_first_open_region_is_the_default_one_where_no_other_is_given() -> None:
    accounts = Accounts(region=None, accounts={}, threads=1, timeout=1, own=own(regions=["us-east-1", "eu-west-1"]))
    assert accounts.scope("retail", None) == Scope("default", "us-east-1")
    none = Accounts(region=None, accounts={}, threads=1, timeout=1)
    assert refusal(none, "retail").startswith("no AWS region: set spec.target.region")


GRANTS = [{"namespaces": ["retail"], "plans": "any"}, {"namespaces": ["*"], "plans": "own"}]


@pytest.mark.parametrize("name", ["default", "emea"])
def test_the_first_grant_that_names_the_namespace_holds(name: str) -> None:
    accounts = accounts_at("http://none.invalid", own(observe=GRANTS), emea=account(observe=GRANTS))
    scope = Scope(name, REGION)
    assert accounts.rights("retail", scope) == Rights(observe=Reach.ANY, adopt=Reach.UNOWNED)
    assert accounts.rights("kitchen", scope) == Rights(observe=Reach.OWN, adopt=Reach.UNOWNED)


def test_without_a_grant_only_plans_that_nobody_owns_are_in_reach() -> None:
    accounts = accounts_at("http://none.invalid", emea=account(adopt=GRANTS[:1]))
    assert accounts.rights("kitchen", Scope("emea", REGION)) == Rights(Reach.UNOWNED, Reach.UNOWNED)
    assert accounts.rights("kitchen", Scope("default", REGION)) == Rights(Reach.UNOWNED, Reach.UNOWNED)


# -- clients --------------------------------------------------------------------------------------------------------


def opened(accounts: Accounts) -> list[str]:
    return [scope.region for scope, plans in accounts._plans.items() if plans.opened]


def test_clients_are_bounded_and_let_go_and_one_that_was_let_go_still_works(sandbox: Sandbox) -> None:
    regions = sorted(known_regions())
    assert len(regions) > 2 * OPEN_CLIENTS
    accounts = accounts_at(sandbox.url)

    async def look() -> None:
        held = accounts.plans(Scope("default", regions[0]))
        assert await held.list_plans() == {}
        for region in regions:
            assert await accounts.plans(Scope("default", region)).list_plans() == {}
            assert len(opened(accounts)) <= OPEN_CLIENTS
        assert not held.opened
        assert await held.list_plans() == {}
        assert accounts.plans(Scope("default", regions[0])) is held

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with closing(accounts):
        asyncio.run(look())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB, for all regions there are


def test_an_idle_client_is_let_go_after_a_while(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = accounts_at(sandbox.url)

    async def look() -> None:
        await accounts.plans(Scope("default", "eu-west-1")).list_plans()
        await accounts.plans(Scope("default", "us-east-1")).list_plans()
        assert opened(accounts) == ["eu-west-1", "us-east-1"]
        monkeypatch.setattr(accounts_module, "IDLE", timedelta(0))
        await accounts.plans(Scope("default", "us-east-1")).list_plans()
        assert opened(accounts) == ["us-east-1"]

    with closing(accounts):
        asyncio.run(look())


def test_a_call_under_way_keeps_its_client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.settings(latency=0.5)
    accounts = accounts_at(sandbox.url)
    monkeypatch.setattr(accounts_module, "IDLE", timedelta(0))

    async def look() -> None:
        plans = accounts.plans(Scope("default", "eu-west-1"))
        call = asyncio.create_task(plans.list_plans())
        await asyncio.sleep(0.2)
        accounts.plans(Scope("default", "us-east-1"))
        plans.let_go()
        assert plans.opened
        assert await call == {}
        plans.let_go()
        assert not plans.opened

    with closing(accounts):
        asyncio.run(look())


def test_the_role_of_an_account_is_assumed_once_for_many_calls(sandbox: Sandbox) -> None:
    accounts = accounts_at(sandbox.url, emea=account())

    async def look() -> None:
        plans = accounts.plans(Scope("emea", REGION))
        await asyncio.gather(*(plans.list_plans() for _ in range(8)))

    with closing(accounts):
        asyncio.run(look())
    assert sandbox.counts()["AssumeRole"] == 1
    assert sandbox.counts()["ListEdgeDeploymentPlans"] == 8


def test_without_credentials_of_its_own_no_role_is_assumed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with closing(accounts_at(sandbox.url, emea=account())) as accounts, pytest.raises(AwsError) as caught:
        asyncio.run(accounts.plans(Scope("emea", REGION)).describe("plan", with_tags=True))
    failure = caught.value.failure
    assert (failure.operation, failure.kind, failure.harmless) == ("AssumeRole", "credentials", True)


# -- the account's number -------------------------------------------------------------------------------------------


def test_the_number_of_a_role_is_in_its_arn(endpoint: Endpoint) -> None:
    with closing(accounts_at(endpoint.url, emea=account())) as accounts:
        assert asyncio.run(accounts.plans(Scope("emea", REGION)).account_id()) == "222222222222"
    assert endpoint.asked == []


def test_the_own_number_is_asked_for_and_kept_for_five_minutes(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.says = [Said(IDENTITY.format(number)) for number in ("111111111111", "333333333333")]
    plans = accounts_at(endpoint.url).plans(Scope("default", REGION))

    async def look() -> list[str]:
        first = [await plans.account_id() for _ in range(3)]
        assert plans._asked_id is not None
        monkeypatch.setattr(plans, "_asked_id", (plans._asked_id[0], plans._asked_id[1] - 301))
        return [*first, await plans.account_id()]

    with closing(plans):
        assert asyncio.run(look()) == ["111111111111"] * 3 + ["333333333333"]
    assert endpoint.asked == ["sts", "sts"]


def test_who_calls_is_asked_once_for_its_name_and_its_number(endpoint: Endpoint) -> None:
    endpoint.says = [Said(IDENTITY.format("111111111111"))]
    plans = accounts_at(endpoint.url).plans(Scope("default", REGION))

    async def ask() -> tuple[str, str]:
        return await plans.identity(), await plans.account_id()

    with closing(plans):
        assert asyncio.run(ask()) == ("111111111111", "111111111111")
    assert endpoint.asked == ["sts"]


def test_the_sandbox_tells_the_own_number(sandbox: Sandbox) -> None:
    with closing(accounts_at(sandbox.url)) as accounts:
        assert asyncio.run(accounts.plans(Scope("default", REGION)).account_id()) == "123456789012"


def test_the_number_of_plans_that_were_shown_needs_no_call(sandbox: Sandbox) -> None:
    sandbox.fault("GetCallerIdentity", error="AccessDenied")
    with closing(accounts_at(sandbox.url)) as accounts:
        plans = accounts.plans(Scope("default", REGION))
        models = (ModelConfig(model_handle="counter", edge_packaging_job_name="counter-v1"),)
        created = CreatePlan("plan", "cameras", models, (), {})

        async def create_and_look() -> str:
            await plans.apply(created)
            return await plans.account_id()

        assert asyncio.run(create_and_look()) == "123456789012"


async def look(plans: SageMakerPlans) -> list[str]:
    return [await plans.account_id() for _ in range(2)]


@pytest.mark.parametrize(
    "answer",
    [Said("{}", status=404), Said("no such thing", status=501), Said('{"__type":"InternalFailure"}', status=500)],
)
@pytest.mark.parametrize("named", ["flag", "environment"])
def test_a_service_that_is_not_aws_is_asked_itself_and_may_know_no_accounts(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, named: str, answer: Said
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS")
    endpoint.says = [answer, Said(IDENTITY.format("333333333333"))]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", endpoint.url if named == "environment" else "")
    url = endpoint.url if named == "flag" else None
    with closing(Accounts(region=REGION, accounts={}, threads=1, timeout=5, endpoint_url=url)) as accounts:
        plans = accounts.plans(Scope("default", REGION))
        assert asyncio.run(look(plans)) == ["", "333333333333"]


def test_a_number_that_is_none_or_refused_is_a_failed_call(sandbox: Sandbox, endpoint: Endpoint) -> None:
    endpoint.says = [Said(IDENTITY.format("nobody"))]
    sandbox.fault("GetCallerIdentity", error="ExpiredTokenException")
    with closing(accounts_at(endpoint.url)) as accounts, pytest.raises(AwsError, match="UnreadableAnswer"):
        asyncio.run(accounts.plans(Scope("default", REGION)).account_id())


def test_an_expired_token_is_one_for_the_identity_too(sandbox: Sandbox) -> None:
    sandbox.fault("GetCallerIdentity", error="ExpiredTokenException")
    with closing(accounts_at(sandbox.url)) as accounts, pytest.raises(AwsError) as caught:
        asyncio.run(accounts.plans(Scope("default", REGION)).account_id())
    failure = caught.value.failure
    assert (failure.operation, failure.iam_action, failure.kind) == (
        "GetCallerIdentity",
        "sts:GetCallerIdentity",
        "credentials",
    )


def test_an_account_is_a_value() -> None:
    assert account() == Account.model_validate({"roleArn": ROLE, "regions": [REGION]})
