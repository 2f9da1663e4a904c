"""Agents against the real service and a real S3: what the people who roll out see, and what is on the device."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import os
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from edge_manager.agent.config import Config, Endpoint
from edge_manager.agent.decide import State
from edge_manager.agent.disk import Disk
from edge_manager.agent.errors import HinderedError, LaterError, RefusedError, UnfitError
from edge_manager.agent.fetch import MismatchError, fetch
from edge_manager.agent.loop import Agent
from edge_manager.agent.memory import load, save
from edge_manager.agent.service import Service
from edge_manager.agent.values import Failure, Model, Offer, Result
from tests.edge_manager.agents import GOOD, Agents, Device, gone, kill, package, sha1
from tests.edge_manager.teams import named, share
from tests.edge_manager.zygote import Zygote, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edge_manager.agent.values import Installed
    from tests.edge_manager.teams import Shop

VERSIONS = itertools.count()


@dataclass
class Place:
    """A shop whose devices have agents."""

    shop: Shop
    s3_url: str
    agents: Agents
    folder: Path
    running: dict[str, int] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)

    def device(self, name: str, **fields: str) -> Device:
        device = Device(self.folder / name, name)
        self.devices[name] = device
        url = fields.pop("service", self.shop.service.url)
        return device.configure(url, fields.pop("s3", self.s3_url), self.shop.device_key(name), **fields)

    def start(self, *devices: Device) -> None:
        for device in devices:
            self.running[device.name] = self.agents.start(device)

    def model(self, name: str, *, good: bool = True) -> dict[str, bytes]:
        """A packaged model; its files."""
        files = {"weights": f"{name} {next(VERSIONS)}".encode(), **({GOOD: b""} if good else {})}
        self.shop.package(name, package(files))
        return files

    def roll_out(self, model: str, *stages: dict[str, Any]) -> str:
        """A plan whose first stage is started."""
        plan = f"plan-{next(VERSIONS)}"
        self.shop.plan(plan, *(stages or (named("all", "till"),)), job=model)
        self.shop.start(plan, (stages or (named("all", "till"),))[0]["StageName"])
        return plan

    def until(self, plan: str, stage: str = "all", *wanted: str) -> tuple[str, int, int, int]:
        """The status of a stage that is over."""
        wait(lambda: self.shop.status(plan, stage)[0] in (wanted or ("DEPLOYED", "FAILED")), self)
        return self.shop.status(plan, stage)

    def overwrite(self, model: str, content: bytes | None) -> None:
        """Change a package behind the service's back, or delete it."""
        key = f"{self.shop.account}/packages/{model}/{model}-1.0.tar.gz"
        if content is None:
            self.shop.s3.delete_object(Bucket="models", Key=key)
        else:
            self.shop.s3.put_object(Bucket="models", Key=key, Body=content)

    def logs(self) -> str:
        return "".join(device.said() for device in self.devices.values())


def wait(condition: Callable[[], Any], place: Place) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, place.logs()[-3000:]
        time.sleep(0.05)


@pytest.fixture(scope="module")
def agents() -> Iterator[Agents]:
    agents = Agents()
    yield agents
    agents.close()


@pytest.fixture
def place(shop: Shop, s3_url: str, agents: Agents, tmp_path: Path) -> Iterator[Place]:
    place = Place(shop, s3_url, agents, tmp_path)
    yield place
    for number in place.running.values():
        with contextlib.suppress(ProcessLookupError):
            kill(number)


@pytest.fixture
def till(place: Place) -> Device:
    """The only device of its fleet, with an agent that is not started yet."""
    place.shop.fleet("till-1")
    return place.device("till-1")


# --- what goes well ---


def test_a_model_is_switched_to_checked_and_reported_and_the_next_one_takes_its_place(
    place: Place, till: Device
) -> None:
    first = place.model("counter")
    place.start(till)
    plan = place.roll_out("counter")
    assert place.until(plan) == ("DEPLOYED", 1, 0, 0)
    assert till.running() == {"counter": first}
    second = place.model("scanner")
    assert place.until(place.roll_out("scanner")) == ("DEPLOYED", 1, 0, 0)
    assert till.running() == {"scanner": second}
    described = place.shop.sagemaker.describe_device(DeviceFleetName="shops", DeviceName="till-1")
    assert described["AgentVersion"].startswith("edge_manager_agent ")
    wait(lambda: len(list((till.state / "models").iterdir())) == 1, place)
    models = place.shop.sagemaker.describe_device(DeviceFleetName="shops", DeviceName="till-1")["Models"]
    assert [(model["ModelName"], model["ModelVersion"]) for model in models] == [("scanner", "1.0")]


def test_a_device_that_lost_its_disk_finds_its_model_again(place: Place, till: Device) -> None:
    files = place.model("counter")
    place.start(till)
    plan = place.roll_out("counter")
    place.until(plan)
    kill(place.running["till-1"])
    till.state.rename(till.folder / "lost")
    place.start(till)
    wait(till.running, place)
    assert till.running() == {"counter": files}
    assert place.shop.status(plan, "all") == ("DEPLOYED", 1, 0, 0)


# --- what does not ---


def test_a_model_that_fails_the_check_is_rolled_back_and_the_stage_says_why(place: Place, till: Device) -> None:
    files = place.model("counter")
    place.start(till)
    place.until(place.roll_out("counter"))
    place.model("broken", good=False)
    plan = place.roll_out("broken")
    assert place.until(plan) == ("FAILED", 0, 0, 1)
    assert till.running() == {"counter": files}
    message = "The check command ended with 1: deploy broken 1.0. Rolled back."
    assert place.shop.devices(plan, "all") == {"till-1": ("FAILED", message)}


def test_do_nothing_leaves_it_and_the_next_rollback_goes_to_what_worked(place: Place, till: Device) -> None:
    works = place.model("counter")
    place.start(till)
    place.until(place.roll_out("counter"))
    broken = place.model("broken", good=False)
    plan = place.roll_out("broken", named("all", "till", "DO_NOTHING"))
    assert place.until(plan) == ("FAILED", 0, 0, 1)
    assert till.running() == {"broken": broken}
    place.model("worse", good=False)
    assert place.until(place.roll_out("worse")) == ("FAILED", 0, 0, 1)
    assert till.running() == {"counter": works}


def test_a_first_model_that_fails_leaves_no_current(place: Place, till: Device) -> None:
    place.model("broken", good=False)
    place.start(till)
    assert place.until(place.roll_out("broken")) == ("FAILED", 0, 0, 1)
    assert till.running() is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [(package({"weights": b"other"}), "has the SHA-1"), (b"half", "has the SHA-1"), (None, "is not there")],
)
def test_another_package_than_the_plans_is_never_run(
    content: bytes | None, reason: str, place: Place, till: Device
) -> None:
    files = place.model("counter")
    place.start(till)
    place.until(place.roll_out("counter"))
    place.model("scanner")
    place.overwrite("scanner", content)
    plan = place.roll_out("scanner")
    assert place.until(plan) == ("FAILED", 0, 0, 1)
    assert reason in (place.shop.devices(plan, "all")["till-1"][1] or "")
    assert till.running() == {"counter": files}


def test_a_package_that_is_no_archive_fails(place: Place, till: Device) -> None:
    place.model("counter")
    rubbish = b"not a tar"
    place.overwrite("counter", rubbish)
    model = Model("counter", f"s3://models/{place.shop.account}/packages/counter/counter-1.0.tar.gz", sha1(rubbish))
    disk = Disk(till.state, 0)
    with disk.locked(), pytest.raises(UnfitError, match="not a whole gzipped tar"):
        fetch(place.shop.s3, disk, model, lambda: False)


def test_no_room_is_waited_out_and_then_told(place: Place, till: Device) -> None:
    place.model("counter")
    place.device("till-1", keep_free="1000000", patience="0.5")
    plan = place.roll_out("counter")
    place.start(till)
    assert place.until(plan) == ("FAILED", 0, 0, 1)
    assert (place.shop.devices(plan, "all")["till-1"][1] or "").startswith("No space on the device: ")


# --- who is refused, and by whom ---


def test_a_key_that_is_refused_is_told_and_a_new_one_is_used_without_a_restart(place: Place, till: Device) -> None:
    place.model("counter")
    key, content = till.folder / "key.json", (till.folder / "key.json").read_text()
    key.write_text(content.replace("AKIA", "AKIB"))
    plan = place.roll_out("counter")
    place.start(till)
    wait(lambda: "The service refuses this device: UnrecognizedClientException" in till.said(), place)
    assert till.said().count("UnrecognizedClientException") == 1
    key.write_text(content)
    assert place.until(plan) == ("DEPLOYED", 1, 0, 0)
    assert "The service answers again" in till.said()


def test_a_device_that_is_not_registered_is_told_and_waits(place: Place, till: Device) -> None:
    place.shop.sagemaker.deregister_devices(DeviceFleetName="shops", DeviceNames=["till-1"])
    place.start(till)
    wait(lambda: "shops/till-1 is not registered with the service." in till.said(), place)
    place.shop.sagemaker.register_devices(DeviceFleetName="shops", Devices=[{"DeviceName": "till-1"}])
    wait(lambda: "The service answers again" in till.said(), place)


def test_a_wrong_clock_is_told(place: Place, till: Device) -> None:
    services, port = Zygote(place.shop.service.environment), free_port()
    service = place.shop.service
    try:
        number = services.start(port, shift=3600, store=service.store, secret_key=service.secret_key, rate=None)
        place.device("till-1", service=f"http://127.0.0.1:{port}")
        place.start(till)
        wait(lambda: "This device's clock is " in till.said(), place)
        assert "seconds behind the server's, 300 are allowed: set it (NTP)." in till.said()
        kill(number)
    finally:
        services.close()


class Between(http.server.BaseHTTPRequestHandler):
    """Something between the device and the world, which answers everything itself."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"<html>Please log in</html>")

    def do_GET(self) -> None:
        code, headers, body = self.answer
        self.send_response_only(code)  # without a date
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def between() -> Iterator[tuple[str, type[Between]]]:
    handler = type("Handler", (Between,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"{}", b'{"DeviceRegistration": "REGISTERED"}'])
def test_a_captive_portal_is_not_taken_for_the_service(
    body: bytes, between: tuple[str, type[Between]], place: Place, till: Device
) -> None:
    between[1].answer = (200, {"Content-Type": "application/json"}, body)
    place.device("till-1", service=between[0])
    place.start(till)
    wait(lambda: "not the service, but something in between" in till.said() or "does not answer" in till.said(), place)
    assert not till.remembered()


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        ((200, {}, b"<html>"), LaterError, "no S3, but something in between"),
        ((403, {}, error("AccessDenied")), HinderedError, "S3 refuses s3://models/a.tar.gz: AccessDenied: No."),
        ((403, {"Date": "Thu, 01 Jan 2009 00:00:00 GMT"}, error("RequestTimeTooSkewed")), LaterError, "clock is"),
        ((503, {}, error("SlowDown")), LaterError, "S3 cannot answer now: SlowDown"),
        ((404, {}, error("NoSuchKey")), UnfitError, "is not there"),
        ((412, {}, error("PreconditionFailed")), LaterError, "was replaced meanwhile"),
        (
            (200, {"ETag": '"1"', "Content-Type": "text/html; charset=utf-8"}, b"login"),
            LaterError,
            "something in between",
        ),
        ((200, {"ETag": '"1"'}, b"\n<!DOCTYPE html>"), LaterError, "no S3, but something in between"),
        ((200, {"ETag": '"1"', "Content-Length": "abc"}, b"half"), LaterError, "makes no sense|ended early"),
        ((200, {"ETag": '"1"', "Content-Length": "-1"}, b"half"), LaterError, "S3 does not answer"),
        ((200, {"ETag": '"1"', "Content-Length": str(10**18)}, b"half"), HinderedError, "No space on the device"),
        ((200, {"ETag": '"1"', "Last-Modified": "soon"}, b"half"), LaterError, "makes no sense"),
        ((200, {"Content-Length": "abc"}, b"half"), LaterError, "makes no sense|something in between"),
        ((206, {"Content-Length": "4"}, b"half"), LaterError, "something in between"),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), LaterError, r"something in between \(HTTP 302\)"),
        ((302, {"Location": "http://127.0.0.1:9/"}, b"<html/>"), LaterError, r"something in between \(HTTP 302\)"),
        ((404, {}, b"<html>Please log in"), LaterError, r"something in between \(HTTP 404\)"),
        ((403, {}, b"<html>Please log in"), HinderedError, "S3 refuses"),
        ((200, {"ETag": '"1"', "Content-Length": "2000"}, b"half"), LaterError, "S3 does not answer|ended early"),
    ],
)
def test_what_s3_says_is_taken_for_what_it_is(
    answer: tuple[int, dict[str, str], bytes],
    kind: type[Exception],
    message: str,
    between: tuple[str, type[Between]],
    tmp_path: Path,
) -> None:
    between[1].answer = answer
    disk, model = Disk(tmp_path / "state", 0), Model("counter", "s3://models/a.tar.gz", "a" * 40)
    keys = {"aws_access_key_id": "s3", "aws_secret_access_key": "s3", "region_name": "eu-west-1"}
    once = boto3.session.Config(retries={"total_max_attempts": 1})
    client = contextlib.closing(boto3.client("s3", endpoint_url=between[0], config=once, **keys))
    with client as s3, disk.locked(), pytest.raises(kind, match=message):
        fetch(s3, disk, model, lambda: False)


def test_a_download_whose_length_nobody_says_is_read_to_its_end(
    between: tuple[str, type[Between]], tmp_path: Path
) -> None:
    whole = package({"weights": os.urandom(200_000)})

    def in_chunks(self: Between) -> None:
        begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_response_only(206 if begin else 200)
        self.send_header("ETag", '"1"')
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = whole[begin:]
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    between[1].protocol_version = "HTTP/1.1"
    between[1].do_GET = in_chunks  # type: ignore[method-assign]
    disk, model = Disk(tmp_path / "state", 0), Model("counter", "s3://models/a.tar.gz", sha1(whole))
    keys = {"aws_access_key_id": "s3", "aws_secret_access_key": "s3", "region_name": "eu-west-1"}
    with contextlib.closing(boto3.client("s3", endpoint_url=between[0], **keys)) as s3, disk.locked():
        assert not fetch(s3, disk, model, lambda: True)
        assert 0 < (disk.partial / model.sha1).stat().st_size < len(whole)
        assert fetch(s3, disk, model, lambda: False)
        assert disk.present() == {model.sha1}


class Picky(Service):
    """A service that takes no result, and has something new to run."""

    trouble: LaterError = RefusedError("ValidationException")

    def is_registered(self) -> bool:
        return True

    def offer(self) -> Offer:
        return Offer("tills-all-2", (Model("counter", "s3://models/none", "b" * 40),))

    def beat(self, models: Sequence[Installed], result: Result | None = None) -> None:  # noqa: ARG002
        if result is not None:
            raise self.trouble


@pytest.mark.parametrize("trouble", [RefusedError("ValidationException"), LaterError("InternalFailure")])
def test_a_result_that_the_service_does_not_take_is_kept_and_does_not_hide_what_is_to_run(
    trouble: LaterError, tmp_path: Path
) -> None:
    config = Config("shops", "till-1", Endpoint("http://127.0.0.1:9", "eu-west-1"), Endpoint(None, "eu-west-1"))
    config = replace(config, folder=tmp_path, poll=30.0)
    failed = Result(Offer("tills-all-1", ()), 1.0, 2.0, Failure("No."))
    save(tmp_path / "state.json", State(over="tills-all-1", results=(failed,)))
    service = Picky(config)
    service.trouble = trouble
    agent = Agent(config, service)
    with agent.ready():
        agent.turn()
    state = load(tmp_path / "state.json")
    assert state.results[0] == failed
    assert state.job is not None
    assert state.job.offer.deployment == "tills-all-2"


# --- downloads ---


def test_a_download_goes_on_where_it_ended_and_never_mixes_two_objects(s3: Any, tmp_path: Path) -> None:
    one, two = (package({"weights": os.urandom(400_000)}) for _ in range(2))
    model = Model("counter", "s3://models/resumed/a.tar.gz", sha1(one))
    asked: list[Any] = []
    s3.meta.events.register("provide-client-params.s3.GetObject", note := lambda params, **_: asked.append(params))
    disk = Disk(tmp_path / "state", 0)
    ends = itertools.cycle([True, False])
    with disk.locked():
        s3.put_object(Bucket="models", Key="resumed/a.tar.gz", Body=one)
        assert not fetch(s3, disk, model, lambda: next(ends))
        begun = (disk.partial / model.sha1).stat().st_size
        assert 0 < begun < len(one)
        s3.put_object(Bucket="models", Key="resumed/a.tar.gz", Body=two)
        with pytest.raises(LaterError, match="was replaced meanwhile"):
            fetch(s3, disk, model, lambda: False)
        with pytest.raises(MismatchError):
            fetch(s3, disk, model, lambda: False)
        s3.put_object(Bucket="models", Key="resumed/a.tar.gz", Body=one)
        assert not fetch(s3, disk, model, lambda: True)
        begun = (disk.partial / model.sha1).stat().st_size
        assert fetch(s3, disk, model, lambda: False)
        assert asked[-1]["Range"] == f"bytes={begun}-"
        assert disk.present() == {model.sha1}
        assert list(disk.partial.iterdir()) == []
    s3.meta.events.unregister("provide-client-params.s3.GetObject", note)


@pytest.mark.parametrize("note", ["{}", "null", "[]", "\0", "deep", '{"url": 1}', "wrong types", "folder"])
def test_a_note_that_is_damaged_is_thrown_away_with_its_part(note: str, s3: Any, tmp_path: Path) -> None:
    whole = package({"weights": os.urandom(1000)})
    s3.put_object(Bucket="models", Key="noted/a.tar.gz", Body=whole)
    model, disk = Model("counter", "s3://models/noted/a.tar.gz", sha1(whole)), Disk(tmp_path / "state", 0)
    with disk.locked():
        file = disk.partial / f"{model.sha1}.json"
        if note == "folder":
            (file / "x").mkdir(parents=True)
            (disk.partial / model.sha1 / "x").mkdir(parents=True)
        else:
            wrong = json.dumps({"url": model.url, "size": "10", "etag": 1})
            file.write_text({"deep": "[" * 100_000, "wrong types": wrong}.get(note, note))
            (disk.partial / model.sha1).write_bytes(b"zz")
        assert fetch(s3, disk, model, lambda: False)
        assert disk.present() == {model.sha1}


@pytest.mark.parametrize("url", ["s3://[::1/x", "s3://a b/x", "s3://m", "s3://m/", "http://m/x", ""])
def test_an_address_that_names_no_object_is_the_deployments_fault(url: str, s3: Any, tmp_path: Path) -> None:
    disk = Disk(tmp_path / "state", 0)
    with disk.locked(), pytest.raises(UnfitError, match="does not name an object in S3"):
        fetch(s3, disk, Model("counter", url, "a" * 40), lambda: False)


# --- the process ---


def test_the_process_ends_soon_when_told_and_shares_its_folder_with_no_other(place: Place, till: Device) -> None:
    (till.folder / "check").write_text("#!/bin/sh\ntouch $0.runs\nexec sleep 600\n")
    place.model("counter")
    place.roll_out("counter")
    agent = till.spawn()
    wait((till.folder / "check.runs").exists, place)
    second = till.spawn()
    assert second.wait(timeout=60) == 1
    assert f"The state folder {till.state} is in use by another agent." in till.said()
    begin = time.monotonic()
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(timeout=60) == 0
    assert time.monotonic() - begin < 30
    assert till.remembered()["job"]["phase"] == "CHECK", "at the next start it is checked again"


# --- a fleet ---


def test_a_rollout_goes_stage_by_stage_over_six_devices_and_a_bad_model_stops_at_the_first(place: Place) -> None:
    names = ["canary-1", "canary-2", "till-1", "till-2", "till-3", "till-4"]
    place.shop.fleet(*names)
    place.start(*(place.device(name) for name in names))
    stages = (named("canaries", "canary"), share("rest", 100))
    files = place.model("counter")
    plan = place.roll_out("counter", *stages)
    assert place.until(plan, "canaries") == ("DEPLOYED", 2, 0, 0)
    assert {name for name in names if place.devices[name].running()} == {"canary-1", "canary-2"}
    place.shop.start(plan, "rest")
    assert place.until(plan, "rest") == ("DEPLOYED", 4, 0, 0)
    assert [place.devices[name].running() for name in names] == [{"counter": files}] * 6
    place.model("broken", good=False)
    plan = place.roll_out("broken", *stages)
    assert place.until(plan, "canaries") == ("FAILED", 0, 0, 2)
    assert [place.devices[name].running() for name in names] == [{"counter": files}] * 6
    for number in place.running.values():
        os.kill(number, signal.SIGTERM)
    for number in place.running.values():
        gone(number)
