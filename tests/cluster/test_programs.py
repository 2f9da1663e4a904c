"""Finding and building programs, with a `go` that only pretends."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import pytest
from pytest_mock import MockerFixture
from rich.console import Console

from playground.programs import (
    ASSETS_VARIABLE,
    PROGRAMS,
    BuildFailedError,
    GoMissingError,
    build,
    cache_folder,
    find,
    find_or_build,
    progress_for,
)
from playground.programs.__main__ import main

ROOT = Path(__file__).parents[2]

GO = """#!/bin/sh
echo "$@" >> "$GO_LOG"
case "$1 $2" in
"list -m") test -z "$GO_TOO_OLD" || { echo "go: go.mod requires go >= 1.26.0 (running go 1.19)" >&2; exit 1; } ;;
"list -deps") echo "go: downloading k8s.io/api v0.37.2" >&2; echo fmt; echo k8s.io/api ;;
"build -v")
    while [ "$1" != "-o" ]; do shift; done
    echo partial > "$2"
    echo fmt >&2
    test -z "$GO_SLOW" || { touch "$GO_LOG.slow"; sleep 8 & wait; }
    test -z "$GO_FAILS" || { echo "undefined: frobnicate" >&2; exit 2; }
    echo "$3" > "$2"; chmod +x "$2" ;;
esac
"""


class Heard:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def step(self, text: str) -> None:
        self.lines.append(text)

    def count(self, done: int, total: int | None = None, detail: str = "") -> None:
        self.lines.append(f"{done}/{total} {detail}")

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def _empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(ASSETS_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def go_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A `go` on PATH, and the file with the commands that it got."""
    program(tmp_path / "bin" / "go", GO)
    log = tmp_path / "go.log"
    monkeypatch.setenv("GO_LOG", str(log))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return log


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def builds(log: Path) -> int:
    return log.read_text().count("build -v")


def in_cache() -> list[str]:
    return sorted(path.name for path in cache_folder().iterdir())


def test_assets_folder_comes_before_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cached = program(cache_folder() / "etcd")
    assert find(["etcd"]) == {"etcd": cached}
    asset = program(tmp_path / "assets" / "etcd")
    monkeypatch.setenv(ASSETS_VARIABLE, str(asset.parent))
    assert find(["etcd"]) == {"etcd": asset}


def test_what_the_assets_folder_lacks_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ASSETS_VARIABLE, str(program(tmp_path / "assets" / "etcd").parent))
    cached = program(cache_folder() / "kube-apiserver")
    assert find(["etcd", "kube-apiserver"])["kube-apiserver"] == cached


def test_clients_may_come_from_path_but_servers_may_not(tmp_path: Path) -> None:
    kubectl = program(tmp_path / "bin" / "kubectl")
    program(tmp_path / "bin" / "etcd")
    assert find(["etcd", "kubectl"]) == {"kubectl": kubectl}


def test_a_file_that_cannot_be_run_is_not_found() -> None:
    program(cache_folder() / "etcd").chmod(0o644)
    (cache_folder() / "kubectl").mkdir()
    assert find(["etcd", "kubectl"]) == {}


def test_without_go_the_error_names_what_is_missing_and_every_way_to_get_it() -> None:
    with pytest.raises(GoMissingError) as missing:
        find_or_build(["etcd", "kube-apiserver"], progress=Heard())
    text = str(missing.value)
    assert "etcd, kube-apiserver" in text
    assert "no `go` on PATH" in text
    assert "KUBEBUILDER_ASSETS" in text
    assert "Go 1.26 or newer" in text


@pytest.mark.usefixtures("go_log")
def test_too_old_go_counts_as_missing_and_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_TOO_OLD", "1")
    with pytest.raises(GoMissingError, match=r"requires go >= 1\.26\.0 \(running go 1\.19\)"):
        find_or_build(["etcd"], progress=Heard())
    assert in_cache() == [".lock"]


def test_built_once_then_found(go_log: Path) -> None:
    heard = Heard()
    built = find_or_build(["etcd", "kube-apiserver"], progress=heard)
    assert built["etcd"].read_text() == "go.etcd.io/etcd/server/v3\n"
    assert in_cache() == [".lock", "etcd", "kube-apiserver"]
    assert heard.lines[0].startswith("Building etcd, kube-apiserver from pinned source, this once")
    assert heard.lines[1:5] == [
        "etcd: downloading its source modules",
        "1/None k8s.io/api v0.37.2",
        "etcd: compiling",
        "1/2 fmt",
    ]
    assert find_or_build(["etcd", "kube-apiserver"]) == built
    assert builds(go_log) == 2


def test_the_build_is_pinned_and_reproducible(go_log: Path) -> None:
    find_or_build(["kube-apiserver"], progress=Heard())
    command = go_log.read_text().splitlines()[-1]
    assert "-trimpath -buildvcs=false " in command
    assert "-ldflags -s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 " in command
    sums = (PROGRAMS["kube-apiserver"].pins / "go.sum").read_text()
    assert "k8s.io/kubernetes v1.37.2 h1:" in sums
    assert "go.etcd.io/etcd/server/v3 v3.7.0 h1:" in sums


@pytest.mark.usefixtures("go_log")
def test_failed_build_says_what_go_said_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_FAILS", "1")
    with pytest.raises(BuildFailedError, match="undefined: frobnicate"):
        find_or_build(["etcd"], progress=Heard())
    assert in_cache() == [".lock"]


def test_two_at_once_build_once(go_log: Path) -> None:
    heard = [Heard(), Heard()]

    def work(progress: Heard) -> None:
        build([PROGRAMS["etcd"], PROGRAMS["kubectl"]], into=cache_folder(), progress=progress)

    threads = [threading.Thread(target=work, args=[progress]) for progress in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builds(go_log) == 2
    assert any(line.startswith("waiting for another process") for line in heard[0].lines + heard[1].lines)


def test_command_prints_paths_and_refuses_unknown_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    etcd = program(tmp_path / "assets" / "etcd")
    monkeypatch.setenv(ASSETS_VARIABLE, str(etcd.parent))
    handlers = mocker.patch.object(signal, "signal")  # they belong to the test runner here
    assert main(["etcd"]) == 0
    assert capsys.readouterr().out == f"{etcd}\n"
    assert handlers.called
    assert main(["etdc"]) == 2
    assert "unknown: etdc; known: etcd, kube-apiserver" in capsys.readouterr().err
    assert main(["kube-apiserver"]) == 1
    assert "error: kube-apiserver: not on this machine" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_build_stops_at_once_and_the_next_one_ends_well(
    number: signal.Signals, go_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "playground.programs", "etcd"]
    environment = {**os.environ, "GO_SLOW": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as python:
        while not go_log.with_suffix(".log.slow").exists():
            time.sleep(0.02)
        python.send_signal(number)
        began = time.monotonic()
        python.wait(timeout=10)
    assert time.monotonic() - began < 5
    assert not (cache_folder() / "etcd").exists()
    if number != signal.SIGKILL:
        assert in_cache() == [".lock"]
    monkeypatch.setenv("GO_SLOW", "")
    find_or_build(["etcd"], progress=Heard())
    assert in_cache() == [".lock", "etcd"]


def test_terminal_shows_counts_and_can_be_used_twice() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    progress = progress_for(console)
    for _ in range(2):
        with progress:
            progress.step("etcd: compiling")
            progress.count(3, 565, "net/http")
    assert isinstance(console.file, io.StringIO)
    assert "3 of 565" in console.file.getvalue()


def test_without_a_terminal_long_steps_say_that_they_go_on(mocker: MockerFixture) -> None:
    console = Console(file=io.StringIO(), width=100)
    progress = progress_for(console)
    now = time.monotonic()
    progress.step("etcd: compiling")
    progress.count(1, 565)
    mocker.patch.object(time, "monotonic", return_value=now + 20)
    progress.count(200, 565)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "etcd: compiling ...\netcd: compiling: 200 of 565, 20 s\n"
