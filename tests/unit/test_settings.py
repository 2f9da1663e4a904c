"""Flags and environment become one frozen value."""

import argparse
from datetime import timedelta
from pathlib import Path

import pytest

from controller.operator import settings
from controller.operator.settings import Settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def parsed(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser)
    return settings.from_arguments(parser.parse_args(arguments))


def test_nothing_given_is_the_default() -> None:
    assert parsed() == Settings()


def test_every_flag_is_read() -> None:
    chosen = parsed(
        *("--namespace", "retail", "--namespace", "stores-*", "--cluster-id", "blue", "--aws-region", "eu-west-1"),
        *("--aws-endpoint-url", "http://localhost:4577", "--aws-timeout", "5s", "--accounts-file", "accounts.yaml"),
        *("--concurrency", "8", "--sweep-interval", "30s", "--audit-interval", "2h", "--shutdown-patience", "1m"),
        *("--liveness", "http://0.0.0.0:8080/healthz", "--log-format", "json", "--verbose"),
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
        "shutdown_patience": timedelta(minutes=1),
        "liveness": "http://0.0.0.0:8080/healthz",
        "verbose": True,
        "log_format": "json",
    }
    assert {name: getattr(chosen, name) for name in expected} == expected


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
    "arguments",
    [
        ("--concurrency", "0"),
        ("--concurrency", "many"),
        ("--sweep-interval", "10"),
        ("--sweep-interval", "0s"),
        ("--aws-timeout", ""),
        ("--log-format", "xml"),
        ("--cluster-id", "team/prod"),
        ("--cluster-id", "prod#1"),
        ("--cluster-id", "p" * 64),
    ],
)
def test_what_makes_no_sense_is_refused_with_flag_and_value(arguments: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=f"^{arguments[0]}: ") as refusal:
        parsed(*arguments)
    assert arguments[1] in str(refusal.value)


def test_variable_that_makes_no_sense_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPLAN_VERBOSE", "perhaps")
    with pytest.raises(ValueError, match=r"^EDGEPLAN_VERBOSE: 'perhaps' is not one of true, false$"):
        parsed()


def test_value_that_is_too_long_is_refused_by_its_beginning() -> None:
    with pytest.raises(ValueError, match=r"--concurrency: '9{80}…' is not a number from 1 to 999999"):
        parsed("--concurrency", "9" * 5000)
