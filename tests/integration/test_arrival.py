"""Before the operator starts: trouble that may pass is worth another try, all other trouble ends the start."""

import asyncio
import json
from pathlib import Path

import pytest

from controller.cluster.arrival import call_on_cluster
from controller.engine.ports import ObjectError
from playground.cluster import Cluster


def arrive(answer: bytes | None, monkeypatch: pytest.MonkeyPatch, folder: Path) -> str | None:
    """What the call says to an API server that answers everything so, or hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer or b"")
        writer.close()

    async def call() -> str | None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            _configure(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", monkeypatch, folder)
            return await call_on_cluster(identify=True)

    return asyncio.run(call())


def _configure(url: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))


def http(status: str, body: str) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    ).encode()


@pytest.mark.parametrize("answer", [None, http("503 Busy", "{}"), http("429 Slow", "{}"), b"HTTP/1.1 200 OK\r\n"])
def test_trouble_that_may_pass_is_worth_another_try(
    answer: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = arrive(answer, monkeypatch, tmp_path)
    assert said is not None
    assert said.startswith("the API server at http://127.0.0.1:")
    assert "\n" not in said


def test_nobody_at_the_address_is_worth_another_try(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _configure("http://127.0.0.1:1", monkeypatch, tmp_path)
    said = asyncio.run(call_on_cluster(identify=False))
    assert said is not None
    assert "does not answer" in said


@pytest.mark.parametrize("answer", [http("401 Unauthorized", "{}"), http("200 OK", "<html>"), http("200 OK", "[]")])
def test_answer_that_will_not_change_by_itself_ends_the_start(
    answer: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ObjectError) as refused:
        arrive(answer, monkeypatch, tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("config", ["{", "", "[]"])
def test_kubeconfig_that_cannot_be_read_is_named(config: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text(config)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "broken"))
    with pytest.raises(ObjectError, match=r"no way to reach a cluster: .*broken") as refused:
        asyncio.run(call_on_cluster(identify=False))
    assert "\n" not in str(refused.value)


def test_real_api_server_answers(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))

    assert asyncio.run(call_on_cluster(identify=True)) is None
