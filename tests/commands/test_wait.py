"""`edgeplan wait` where nobody answers."""

import json
import socket
from pathlib import Path

import pytest

from controller.cli import main


@pytest.mark.parametrize("goal", ["ready", "delete"])
def test_waiting_ends_in_time_where_the_api_server_does_not_answer(
    goal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        access = {
            "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}}],
            "users": [{"name": "a", "user": {"token": "a"}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a", "namespace": "retail"}}],
            "current-context": "a",
        }
        (tmp_path / "config").write_text(json.dumps(access), encoding="utf-8")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        assert main(["wait", "store", "--for", goal, "--timeout", "1s"]) == 1
    assert f"retail/store: not {'gone' if goal == 'delete' else 'ready'} after 1s" in capsys.readouterr().err
