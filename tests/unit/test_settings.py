"""Flags and environment become one frozen value."""

from dataclasses import asdict, fields
from datetime import timedelta
from pathlib import Path

import pytest

from controller.commands.run import run
from controller.operator import settings
from controller.operator.settings import Settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def parsed(*arguments: str) -> Settings:
    with run.make_context("run", [*arguments]) as context:
        return settings.from_flags(context.params)


def test_nothing_given_is_the_default() -> None:
    assert parsed() == Settings()


def test_every_flag_is_read() -> None:
    chosen = parsed(
        *("--namespace", "retail", "--namespace", "stores-*", "--cluster-id", "blue", "--aws-region", "eu-west-1"),
        *("--aws-endpoint-url", "http://localhost:4577", "--aws-timeout", "5s", "--accounts-file", "accounts.yaml"),
        *("--concurrency", "8", "--sweep-interval", "30s", "--audit-interval", "2h", "--shutdown-patience", "1m"),
        *("--audits-per-minute", "60"),
        *("--liveness", "http://0.0.0.0:8080/healthz", "--log-format", "json", "--verbose", "--settle", "2m"),
        *("--aws-regions", "eu-west-1, us-east-1", "--own-account-file", "own.yaml"),
        *("--aws-extra-regions", "eu-shop-1"),
        *("--metrics-port", "8081", "--metrics-per-object", "--tracing"),
        *("--lease", "edgeplan-system/edgeplan", "--shards", "3", "--watch-patience", "1m", "--audit-log", "-"),
    )
    expected = {
        "namespaces": ("retail", "stores-*"),
        "cluster_id": "blue",
        "aws_region": "eu-west-1",
        "aws_endpoint_url": "http://localhost:4577",
        "aws_timeout": timedelta(seconds=5),
        "accounts_file": Path("accounts.yaml"),
        "concurrency": 8,
        "sweep_interval": timedelta(seconds=30),
        "audit_interval": timedelta(hours=2),
        "audits_per_minute": 60,
        "shutdown_patience": timedelta(minutes=1),
        "liveness": "http://0.0.0.0:8080/healthz",
        "verbose": True,
        "log_format": "json",
        "settle": timedelta(minutes=2),
        "aws_regions": ("eu-west-1", "us-east-1"),
        "aws_extra_regions": ("eu-shop-1",),
        "own_account_file": Path("own.yaml"),
        "lease": "edgeplan-system/edgeplan",
        "shards": 3,
        "watch_patience": timedelta(minutes=1),
        "metrics_port": 8081,
        "metrics_per_object": True,
        "tracing": True,
        "audit_log": "-",
    }
    assert asdict(chosen) == expected


@pytest.mark.parametrize(
    ("variable", "value", "name", "expected"),
    [
        ("EDGEPLAN_NAMESPACES", "retail, stores-*,", "namespaces", ("retail", "stores-*")),
        ("EDGEPLAN_CLUSTER_ID", "blue", "cluster_id", "blue"),
        ("EDGEPLAN_AWS_REGION", "eu-west-1", "aws_region", "eu-west-1"),
        ("AWS_REGION", "eu-west-1", "aws_region", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1", "aws_region", "eu-west-1"),
        ("EDGEPLAN_AWS_TIMEOUT", "5s", "aws_timeout", timedelta(seconds=5)),
        ("EDGEPLAN_CONCURRENCY", "8", "concurrency", 8),
        ("EDGEPLAN_SWEEP_INTERVAL", "30s", "sweep_interval", timedelta(seconds=30)),
        ("EDGEPLAN_ACCOUNTS_FILE", "a.yaml", "accounts_file", Path("a.yaml")),
        ("EDGEPLAN_OWN_ACCOUNT_FILE", "a.yaml", "own_account_file", Path("a.yaml")),
        ("EDGEPLAN_AWS_REGIONS", "eu-west-1,us-east-1", "aws_regions", ("eu-west-1", "us-east-1")),
        ("EDGEPLAN_SETTLE", "90s", "settle", timedelta(seconds=90)),
        ("EDGEPLAN_VERBOSE", "true", "verbose", True),
        ("EDGEPLAN_LOG_FORMAT", "json", "log_format", "json"),
        ("EDGEPLAN_CLUSTER_ID", "", "cluster_id", None),
    ],
)
def test_environment_gives_the_defaults(
    variable: str, value: str, name: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(parsed(), name) == expected


def test_flag_wins_over_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPLAN_NAMESPACES", "stores")
    monkeypatch.setenv("EDGEPLAN_CONCURRENCY", "8")
    chosen = parsed("--namespace", "retail", "--concurrency", "4")
    assert (chosen.namespaces, chosen.concurrency) == (("retail",), 4)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--concurrency", "0"),
        ("--concurrency", "many"),
        ("--concurrency", "\N{SUPERSCRIPT TWO}"),
        ("--sweep-interval", "10"),
        ("--sweep-interval", "0s"),
        ("--sweep-interval", "99999999999h"),
        ("--aws-timeout", "\n"),
        ("--settle", "soon"),
        ("--log-format", "xml"),
        ("--cluster-id", "team/prod"),
        ("--cluster-id", "prod#1"),
        ("--cluster-id", "-prod"),
        ("--cluster-id", "prod."),
        ("--cluster-id", "größe"),
        ("--cluster-id", "prod\n"),
        ("--cluster-id", "a" * 64),
        ("--cluster-id", "a" * 200),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_flag_or_variable_and_its_value(
    flag: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=f"^{flag}: ") as caught:
        parsed(f"{flag}={value}")
    assert repr(value)[:40] in str(caught.value)
    assert len(str(caught.value)) < 250
    variable = f"EDGEPLAN_{flag.lstrip('-').upper().replace('-', '_')}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"^{variable}: "):
        parsed()


@pytest.mark.parametrize("value", ["a", "prod", "team-prod.1_b", "A" * 63, "0b9e7a3e-6c1f-4c39-9b5d-0123456789ab"])
def test_a_good_cluster_id_is_taken(value: str) -> None:
    assert parsed("--cluster-id", value).cluster_id == value


def test_every_field_has_its_flag_its_variable_and_its_help() -> None:
    flags = {flag.field: flag for flag in settings.flags()}
    for each in fields(Settings):
        flag = flags[each.name]
        assert flag.name == ("--namespace" if each.name == "namespaces" else f"--{each.name.replace('_', '-')}")
        assert flag.told.endswith(f"EDGEPLAN_{each.name.upper()})")
        assert len(flag.help.split()) > 3


@pytest.mark.parametrize(
    "shown", ["(default: 30s;", "(default: 1h;", "(default: 1m;", "(default: 32;", "(default: no;"]
)
def test_the_help_shows_defaults_as_one_would_write_them(shown: str) -> None:
    with run.make_context("run", []) as context:
        assert shown in " ".join(run.get_help(context).split())
