"""Metrics over HTTP, of a service that is a process of its own."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from edge_manager.api.metrics import FRESH, MeasuredStore, Metrics
from edge_manager.domain.access import Role
from edge_manager.store.engine import Store
from tests.edge_manager.processes import ROOT, Served, served, sqlite
from tests.edge_manager.teams import Shop, share

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

DOCS = (ROOT / "docs" / "edge-manager.md").read_text(encoding="utf-8")
ACCOUNT = "777777777777"


class Scraped:
    """What one scrape found."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.samples.get((f"edge_manager_{name}", frozenset(labels.items())))


@pytest.fixture
def measured(s3_url: str, tmp_path: Path) -> Iterator[Served]:
    """A service of the test's own."""
    with served(sqlite(tmp_path), s3=s3_url, arguments=("--metrics-port", "0")) as service:
        yield service.start()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service for tests that count nothing and break nothing."""
    with served(sqlite(tmp_path_factory.mktemp("store")), arguments=("--metrics-port", "0")) as service:
        yield service.start()


def metrics_url(service: Served) -> str:
    found = re.search(r"Metrics on (http://\S+)", service.log.read_text(encoding="utf-8"))
    assert found
    return found[1]


def scrape(service: Served) -> Scraped:
    with urllib.request.urlopen(metrics_url(service), timeout=60) as answer:  # noqa: S310
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return Scraped(answer.read().decode())


def refused(url: str, body: bytes | None = None, **headers: str) -> int:
    """The status of a call that is not to be answered."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, names), timeout=60)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    raise AssertionError(url)


def test_what_the_service_did_is_counted(measured: Served, s3: Any) -> None:
    shop = Shop(measured, s3, ACCOUNT, measured.key(Role.ADMIN, ACCOUNT))
    shop.fleet("till-1", "till-2", "till-3")
    shop.package("counter")
    shop.plan("all", share("all", 100))
    shop.start("all", "all")
    name = shop.deploy("till-1")
    shop.tell("till-1", name)  # sent twice, counted once
    shop.deploy("till-2", "FAIL", "no space left")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        shop.ask("till-9")
    found = scrape(measured)
    assert found("calls_total", operation="SendHeartbeat", code="OK") == 3
    assert found("calls_total", operation="GetDeployments", code="ResourceNotFound") == 1
    assert found("calls_total", operation="DeleteDeviceFleet", code="OK") == 0
    assert found("call_seconds_count", operation="SendHeartbeat") == 3
    assert found("heartbeats_total") == 3
    assert found("deployments_answered_total", result="SUCCESS") == 1
    assert found("deployments_answered_total", result="FAIL") == 1
    assert found("group_commit_size_sum") == 5  # three heartbeats, two devices that learnt of their deployment
    assert (found("devices", state="connected"), found("devices", state="silent")) == (2, 1)
    assert found("jobs", kind="packaging", status="COMPLETED") == 1
    assert found("jobs", kind="compilation", status="INPROGRESS") == 0
    assert (found("store_seconds_count", kind="write") or 0) > 5
    assert (found("store_seconds_count", kind="read") or 0) > 5
    (build,) = [dict(labels) for name, labels in found.samples if name == "edge_manager_build_info"]
    assert (build["store"], set(build)) == ("sqlite", {"version", "python", "store"})
    assert ("process_resident_memory_bytes", frozenset[tuple[str, str]]()) in found.samples


def test_callers_choose_no_label_and_see_no_name_in_one(shared: Served, s3: Any) -> None:
    admin = shared.key(Role.ADMIN, ACCOUNT)
    shop = Shop(shared, s3, ACCOUNT, admin)
    shop.fleet("till-1")
    for target in ("SageMaker.Invented", "Rubbish"):
        assert refused(shared.url, b"{}", X_Amz_Target=target) == 400
    assert refused(shared.url, b"Action=Invented") == 403
    found = scrape(shared)
    assert "Invented" not in found.body
    unknown = sum(
        value
        for (name, labels), value in found.samples.items()
        if name == "edge_manager_calls_total" and ("operation", "Unknown") in labels
    )
    assert unknown == 3
    for word in (admin.secret, admin.principal.access_key, shared.secret_key, ACCOUNT, "till-1", "shops"):
        assert word not in found.body


def test_the_two_ports_have_nothing_in_common(shared: Served) -> None:
    for url in (f"{shared.url}/metrics", metrics_url(shared).replace("/metrics", "/healthz")):
        assert refused(url) == 404


def test_a_store_that_does_not_answer_hides_nothing_but_what_is_counted_in_it(measured: Served) -> None:
    assert scrape(measured)("devices", state="silent") == 0
    store = Store(measured.store)
    store.write(lambda db: db.execute(text("ALTER TABLE devices RENAME TO gone")))
    store.close()
    deadline = time.monotonic() + FRESH + 60
    while (found := scrape(measured))("devices", state="silent") is not None:
        assert time.monotonic() < deadline
        time.sleep(1)
    assert found("heartbeats_total") == 0
    assert (found("store_errors_total", kind="other") or 0) >= 1


def test_every_metric_is_documented_and_none_that_there_is_not(shared: Served) -> None:
    exposed = re.findall(r"(?m)^# TYPE (edge_manager_\w+) ", scrape(shared).body)
    assert sorted(exposed) == sorted(re.findall(r"(?m)^\| `(edge_manager_\w+)`", DOCS))


def test_conflicts_are_told_from_other_errors_of_the_database(database: str) -> None:
    metrics = Metrics("any")
    store = MeasuredStore(database, metrics)
    attempts: list[int] = []

    def count(kind: str) -> float:
        return metrics.registry.get_sample_value("edge_manager_store_errors_total", {"kind": kind}) or 0

    def conflicting(db: Connection) -> None:
        attempts.append(1)
        if len(attempts) == 1 and not store.is_sqlite:
            db.execute(text("DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$"))

    before = metrics.registry.get_sample_value("edge_manager_store_seconds_count", {"kind": "write"}) or 0
    store.write(conflicting)
    after = metrics.registry.get_sample_value("edge_manager_store_seconds_count", {"kind": "write"})
    assert after == before + 1
    assert (len(attempts), count("conflict")) == ((1, 0) if store.is_sqlite else (2, 1))
    with pytest.raises(OperationalError if store.is_sqlite else Exception, match="nowhere"):
        store.read(lambda db: db.execute(text("SELECT * FROM nowhere")))
    assert count("other") == 1
    store.close()
