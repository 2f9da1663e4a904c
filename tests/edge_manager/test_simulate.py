"""`fleet simulate` over the service: a rollout with real answers, some of which are failures."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from edge_manager.simulate.figures import Figures, quantile
from edge_manager.simulate.signing import Signer
from tests.edge_manager.processes import REGION, ROOT
from tests.edge_manager.teams import share

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.edge_manager.teams import Shop


def simulate(shop: Shop, devices: int, *more: str, key: bool = True) -> subprocess.Popen[str]:
    environment = os.environ | {
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if key:
        keys = {"AWS_ACCESS_KEY_ID": shop.admin.principal.access_key, "AWS_SECRET_ACCESS_KEY": shop.admin.secret}
        environment |= keys
    command = [sys.executable, "-m", "edge_manager", "fleet", "simulate", "--endpoint-url", shop.service.url]
    command += ["--fleet", "shops", "--devices", str(devices), "--interval", "0.5", "--work", "0.1", "--report", "0.5"]
    return subprocess.Popen([*command, *more], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return said


def over(shop: Shop, plan: str, stage: str) -> tuple[str, int, int, int]:
    deadline = time.monotonic() + 120
    while (found := shop.status(plan, stage))[0] == "INPROGRESS":
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def test_fifty_agents_carry_out_a_plan_and_some_of_them_fail(shops: Shop, tmp_path: Path) -> None:
    """Four devices are there, the others are registered."""
    result = tmp_path / "figures.json"
    process = simulate(shops, 50, "--fail-percent", "40", "--json", str(result))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("50 agents of fleet shops poll ")
    shops.plan("tills", share("all", 100))
    shops.start("tills", "all")
    status, succeeded, pending, failed = over(shops, "tills", "all")
    lines = end(process)
    assert (status, pending, succeeded + failed) == ("FAILED", 0, 50)
    assert failed
    assert succeeded
    assert f"deployments: {failed} FAIL, {succeeded} SUCCESS; errors: none" in lines.splitlines()[-1]
    figures = json.loads(result.read_text())
    assert figures["deployments"] == {"FAIL": failed, "SUCCESS": succeeded}
    assert figures["operations"]["SendHeartbeat"]["calls"] >= 50
    said = {message for _, message in shops.devices("tills", "all").values() if message}
    assert said == {"simulated: the model does not answer"}


def test_agents_with_keys_of_their_own_need_no_other(shops: Shop, tmp_path: Path) -> None:
    made = shops.service.run(
        "keys", "create", "--role", "device", "--account", shops.account, "--fleet", "shops", "--region", REGION,
        "--device", "till-1", "--device", "till-2",
    )  # fmt: skip
    file = tmp_path / "keys"
    file.write_text(made.stdout)
    assert [json.loads(line)["Device"] for line in made.stdout.splitlines()] == ["till-1", "till-2"]
    shops.plan("tills", {
        "StageName": "some",
        "DeviceSelectionConfig": {"DeviceSubsetType": "SELECTION", "DeviceNames": ["till-1", "till-2"]},
    })  # fmt: skip
    shops.start("tills", "some")
    process = simulate(shops, 2, "--keys", str(file), key=False)
    assert over(shops, "tills", "some") == ("DEPLOYED", 2, 0, 0)
    assert "2 SUCCESS" in end(process)


def test_without_any_key_it_says_what_is_missing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    process = simulate(shop, 1, "--duration", "1", key=False)
    process.communicate(timeout=60)
    assert process.returncode == 1


@given(
    body=st.binary(max_size=50),
    token=st.none() | st.just("session/token+=="),
    target=st.none() | st.just("SageMaker.ListDevices"),
    now=st.integers(0, 4_000_000_000),
)
def test_signatures_are_those_of_botocore(body: bytes, token: str | None, target: str | None, now: int) -> None:
    path = "/" if target else "/SendHeartbeat"
    headers = Signer("AKIAEXAMPLE", "secret", REGION, "host:4578", token).headers(path, body, target, now)
    plain = {name: value for name, value in headers.items() if name != "authorization"}
    request: Any = AWSRequest("POST", f"http://host:4578{path}", headers=plain, data=body)
    moment = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = moment
    auth = SigV4Auth(Credentials("AKIAEXAMPLE", "secret", token), "sagemaker", REGION)
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert headers["x-amz-date"] == moment
    assert headers["authorization"].endswith(f"Signature={expected}")


def test_no_secret_is_shown() -> None:
    signer = Signer("AKIAEXAMPLE", "s3cr3t", REGION, "host", "t0ken")
    signer.headers("/", b"")
    assert "s3cr3t" not in repr(signer)
    assert "t0ken" not in repr(signer)


def test_figures_are_of_the_time_since_they_were_reset() -> None:
    figures = Figures()
    figures.count("SendHeartbeat", 9.0, "Timeout")
    figures.reset()
    for milliseconds in range(100):
        figures.count("SendHeartbeat", milliseconds / 1000, None)
    assert "heartbeat p50 50.0 ms p99 99.0 ms; deployments: none; errors: none" in figures.line(1)
    assert "heartbeat p50 0.0 ms" in figures.line(1), "a line is about the time since the last one"
    assert figures.result()["operations"]["SendHeartbeat"]["calls"] == 100
    assert quantile([], 0.5) == 0
