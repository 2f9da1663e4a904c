"""The agent's parts, each on its own: configuration, unpacking, the state folder, the owner's command."""

from __future__ import annotations

import ast
import gzip
import io
import os
import subprocess
import sys
import tarfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge_manager.agent import check
from edge_manager.agent.__main__ import main
from edge_manager.agent.config import read
from edge_manager.agent.disk import Disk, write
from edge_manager.agent.errors import FolderError, HinderedError, UnfitError
from edge_manager.agent.service import Service
from edge_manager.agent.unpack import unpack
from edge_manager.agent.values import Model, Offer
from tests.edge_manager.agents import package, sha1
from tests.unit.test_layers import files, imports, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_mock import MockerFixture

PLAIN = """
[agent]
fleet = shops
device = till-1
endpoint = https://edge.example.com
region = eu-west-1
"""


# --- configuration ---


def test_a_configuration_needs_who_and_where(tmp_path: Path) -> None:
    file = tmp_path / "agent.conf"
    file.write_text(PLAIN + "check = /bin/sh --quick 'a b'\nkeep-free = 10\n[s3]\nendpoint = http://s3:9000\n")
    config = read(file)
    assert (config.fleet, config.device, config.service.url) == ("shops", "till-1", "https://edge.example.com")
    assert (config.check, config.keep_free) == (("/bin/sh", "--quick", "a b"), 10 * 2**20)
    assert (config.s3.url, config.s3.region, config.poll) == ("http://s3:9000", "eu-west-1", 60)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("poll = soon", "[agent] poll = soon: must be a number of seconds from 0.05 to 86400"),
        ("poll = nan", "[agent] poll = nan: must be a number of seconds from 0.05 to 86400"),
        ("state-dir = state", "[agent] state-dir = state: must be an absolute path"),
        ("check = test -e x", "[agent] check = test -e x: must begin with the absolute path of a program"),
        ("check = /bin/sh 'x", "[agent] check = /bin/sh 'x: must be a command and its arguments: No closing quotation"),
        ("key-file = /none", "[agent] key-file = /none: must be a readable file with the JSON of `edge-manager keys"),
        ("ca-file = /none", "[agent] ca-file = /none: must be a file with the certificates to trust, in PEM"),
        ("check = /none --x", "[agent] check = /none --x: must begin with a program that is there and that this user"),
        ("check = /etc/passwd", "[agent] check = /etc/passwd: must begin with a program that is there and that this"),
        ("check = /bin", "[agent] check = /bin: must begin with a program that is there and that this user may run"),
        ("check = /bin/sh \0", "[agent] check = /bin/sh: must be without control characters"),
        ("check = /bin/none\n  more", "[agent] check = /bin/none more: must begin with a program that is there"),
        ("[s3]\nregion = eu west", "[s3] region = eu west: must be a region, such as eu-west-1"),
        (
            "[s3]\nendpoint = http://[::1",
            "[s3] endpoint = http://[::1: must be a URL with the name or address of a host",
        ),
        ("[s3]\nendpoint = http://a:notaport", "[s3] endpoint = http://a:notaport: must be a URL with the name or"),
        ("[s3]\nendpoint = http://a:99999", "[s3] endpoint = http://a:99999: must be a URL with the name or"),
        ("[s3]\nendpoint = http://a b/", "[s3] endpoint = http://a b/: must be a URL with the name or address"),
        ("[s3]\nendpoint = http://a_b/", "[s3] endpoint = http://a_b/: must be a URL with the name or address"),
        ("[s3]\nendpoint = http://:80", "[s3] endpoint = http://:80: must be a URL with the name or address"),
        ("[s3]\nendpoint = http://", "[s3] endpoint = http://: must be a URL with the name or address of a host"),
        ("pol = 3", "[agent] pol = 3: no such field; there are ca-file, check"),
        ("fleet = again", "not an INI file: While reading from"),
        ("[s4]", "[s4]: no such section; there are [agent] and [s3]"),
        ("[s3]\nendpoint = s3:9000", "[s3] endpoint = s3:9000: must be a URL that begins with https:// or http://"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_one_line_and_exit_code_2(
    line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agent.conf"
    file.write_text(PLAIN + line + "\n")
    assert main(["--config", str(file), "--check-config"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{file}: {message}")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "content",
    [
        b'{"AccessKeyId": 1, "SecretAccessKey": "s"}',
        b'{"AccessKeyId": "AKIA", "SecretAccessKey": ["s"]}',
        b'{"AccessKeyId": "AKIA", "SecretAccessKey": ""}',
        b'{"AccessKeyId": "AKIA\\n", "SecretAccessKey": "s"}',
        b'{"AccessKeyId": "AKI\\u00c4", "SecretAccessKey": "s"}',
        b'{"AccessKeyId": "AKIA", "SecretAccessKey": "s", "SessionToken": 3}',
        pytest.param(b"[" * 100_000, id="deep"),
        b"[]",
        b"\xff",
    ],
)
def test_a_key_file_that_holds_no_key_is_told(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, key = tmp_path / "agent.conf", tmp_path / "key.json"
    key.write_bytes(content)
    file.write_text(f"{PLAIN}key-file = {key}\n")
    assert main(["--config", str(file), "--check-config"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{file}: [agent] key-file = {key}: must be a readable file with the JSON of")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "url", ["http://[::1]:9000", "https://s3.example.com:443/a/b", "http://10.0.0.1", "http://S3:9000"]
)
def test_an_endpoint_that_boto3_can_call_is_taken(url: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.conf"
    file.write_text(f"{PLAIN}[s3]\nendpoint = {url}\n")
    config = read(file)
    assert config.s3.url == url
    assert Service(config).s3.meta.endpoint_url == url


@pytest.mark.parametrize("name", ["fleet", "device", "endpoint", "region"])
def test_what_must_be_said_is_missed(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "agent.conf"
    file.write_text("\n".join(line for line in PLAIN.splitlines() if not line.startswith(name)))
    assert main(["--config", str(file), "--check-config"]) == 2
    assert f"[agent] {name} is missing: " in capsys.readouterr().err


def test_a_configuration_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none"), "--check-config"]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none'}: No such file or directory\n"


def test_the_servers_command_line_has_the_agent_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge_manager", "agent", "--config", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"{tmp_path / 'none'}: No such file or directory\n")


# --- unpacking ---


def tar(*members: tarfile.TarInfo) -> io.BytesIO:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    target.seek(0)
    return target


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644, size: int = 0
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode, member.size = kind, link, mode, size
    return member


def room(_size: int) -> None:
    """There is room."""


def test_files_and_folders_are_unpacked_with_modes_that_owners_can_use(tmp_path: Path) -> None:
    package = tar(entry("a/run", mode=0o4711, size=3), entry("./b", mode=0o600), entry("c", tarfile.DIRTYPE))
    unpack(package, tmp_path / "model", room)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert modes == {"run": 0o755, "b": 0o644}
    assert (tmp_path / "model/c").is_dir()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([entry("/etc/passwd")], "outside of its folder"),
        ([entry("a/../../b")], "outside of its folder"),
        ([entry("link", tarfile.SYMTYPE, "/etc")], "other than files and folders"),
        ([entry("a"), entry("link", tarfile.LNKTYPE, "a")], "other than files and folders"),
        ([entry("null", tarfile.CHRTYPE)], "other than files and folders"),
        ([entry("pipe", tarfile.FIFOTYPE)], "other than files and folders"),
        ([entry("a"), entry("a")], "one name twice"),
        ([entry("a"), entry("a/b")], "one name twice"),
        ([entry("a/b"), entry("a")], "one name twice"),
    ],
)
def test_a_package_that_would_write_elsewhere_or_something_else_is_refused(
    members: list[tarfile.TarInfo], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnfitError, match=message):
        unpack(tar(*members), tmp_path / "model", room)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("cut", [0, 1, 10, 200, 3000])
def test_half_a_package_is_refused(cut: int, tmp_path: Path) -> None:
    whole = package({"a": os.urandom(5000)})
    with pytest.raises(UnfitError, match="not a whole gzipped tar"):
        unpack(io.BytesIO(whole[:cut]), tmp_path / "model", room)


def test_a_package_whose_gzip_stream_is_damaged_after_the_archive_is_refused(tmp_path: Path) -> None:
    whole = bytearray(package({"a": os.urandom(5000)}))
    whole[-6] ^= 1  # the checksum
    with pytest.raises(UnfitError, match="not a whole gzipped tar: CRC check failed"):
        unpack(io.BytesIO(whole), tmp_path / "model", room)
    with pytest.raises(UnfitError, match="not a whole gzipped tar"):
        unpack(io.BytesIO(whole[:-4]), tmp_path / "cut", room)
    with pytest.raises(UnfitError, match="goes on for more than"):
        unpack(io.BytesIO(package({"a": b"x"}) + gzip.compress(bytes(65 << 20), 1)), tmp_path / "long", room)


def pax(records: bytes, kind: bytes = tarfile.XHDTYPE, size: int | None = None) -> bytes:
    header = entry("././@PaxHeader", kind, size=len(records) if size is None else size)
    return header.tobuf(tarfile.GNU_FORMAT) + records + bytes(-len(records) % 512)


def records(number: int, first: int = 0) -> bytes:
    return b"".join(b"17 k%08d=abc\n" % each for each in range(first, first + number))


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (pax(bytes(64 << 20)), "headers of more than"),
        (pax(bytes(64 << 20), tarfile.GNUTYPE_LONGNAME), "headers of more than"),
        (pax(b"", size=-(2**40)), "headers of more than"),
        (pax(b"", size=2**62), "headers of more than"),
        (pax(records(10)) * 5000, "headers of more than|not a whole gzipped tar"),
        (b"".join(pax(records(90, n * 90), tarfile.XGLTYPE) + entry(f"f{n}").tobuf() for n in range(20)), "for all"),
        (pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"), "not a whole gzipped tar|other than"),
    ],
    ids=["pax", "long name", "negative", "huge", "many", "global", "sparse"],
)
def test_headers_that_would_fill_the_memory_are_refused(headers: bytes, message: str, tmp_path: Path) -> None:
    packed = gzip.compress(headers + entry("a", size=1).tobuf() + b"x".ljust(512) + bytes(10240), 1)
    tracemalloc.start()
    try:
        with pytest.raises(UnfitError, match=message):
            unpack(io.BytesIO(packed), tmp_path / "model", room)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["x" * 256, "a/" * 60 + "x" * 300, "/".join(["d"] * 3000), "/".join(["d" * 99] * 60)])
def test_a_name_that_no_file_can_have_is_the_packages_fault(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnfitError, match=r"a name that no file can have here|folders more than 100 deep"):
        unpack(tar(entry(name)), tmp_path / "model", room)


def test_a_package_that_swells_is_stopped_before_it_fills_the_disk(tmp_path: Path) -> None:
    disk = Disk(tmp_path, keep_free=0)
    with disk.locked():
        bomb = tarfile.TarInfo("zeros")
        bomb.size = 2**60
        content = bomb.tobuf()
        with pytest.raises(HinderedError, match="No space on the device: 1152921504606846976 bytes are needed"):
            disk.install(Model("counter", "s3://m/k", "a" * 40), io.BytesIO(gzip.compress(content)))
        assert list(disk.models.iterdir()) == []


# --- the state folder ---


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "state", keep_free=0)
    with disk.locked():
        yield disk


def install(disk: Disk, text: str) -> Model:
    content = package({"a/weights": text.encode(), "labels": b"x"})
    model = Model("counter", f"s3://models/{text}-1.0.tar.gz", sha1(content))
    disk.install(model, io.BytesIO(content))
    return model


def test_one_agent_has_the_folder(disk: Disk) -> None:
    with pytest.raises(FolderError, match="is in use by another agent"), Disk(disk.folder, 0).locked():
        pytest.fail("two have it")


def test_current_is_switched_in_one_step_and_back(disk: Disk) -> None:
    releases = [disk.build(Offer(f"plan-{name}", (install(disk, name),))) for name in ("model-a", "model-b")]
    assert disk.release() is None
    for release, content in zip(releases, (b"model-a", b"model-b"), strict=True):
        disk.switch(release.id)
        assert disk.release() == release
        assert (disk.current / "counter/a/weights").read_bytes() == content
    disk.switch(releases[0].id)
    assert disk.release() == releases[0]
    disk.switch(None)
    disk.switch(None)
    assert disk.release() is None


def test_whatever_is_needed_no_longer_is_deleted_and_nothing_else(disk: Disk) -> None:
    models = [install(disk, name) for name in ("model-a", "model-b", "model-c", "model-d")]
    running, good, old = (disk.build(Offer(f"plan-{n}", (models[n],))) for n in range(3))
    disk.switch(running.id)
    for sha in (models[3].sha1, "e" * 40):
        (disk.partial / sha).write_bytes(b"half")
    (disk.models / ".leftover").mkdir()
    disk.tidy([good.id, None], [models[3].sha1])
    assert disk.kept() == {running.id, good.id}
    assert disk.present() == {models[0].sha1, models[1].sha1, models[3].sha1}
    assert [path.name for path in disk.partial.iterdir()] == [models[3].sha1]
    assert not (disk.models / ".leftover").exists()
    assert old.id not in disk.kept()


def test_nothing_is_deleted_while_what_runs_cannot_be_told(disk: Disk) -> None:
    disk.switch(disk.build(Offer("plan-1", (install(disk, "model-a"),))).id)
    (disk.current / "release.json").write_text("{")
    disk.tidy([], [])
    assert (disk.current / "counter/a/weights").exists()


def test_everything_is_on_the_disk_before_it_gets_its_name(disk: Disk, mocker: MockerFixture) -> None:
    """What a power cut can lose that SIGKILL cannot: what was written and not synced."""
    said: list[str] = []
    sync, rename, replace = os.fsync, os.rename, os.replace

    def path_of(descriptor: int) -> str:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(disk.folder))

    def spy(real: Any, name: str) -> Any:
        def call(source: Any, target: Any) -> None:
            said.append(f"{name} {Path(target).relative_to(disk.folder)}")
            real(source, target)

        return call

    def spy_sync(descriptor: int) -> None:
        said.append(f"sync {path_of(descriptor)}")
        sync(descriptor)

    mocker.patch("os.fsync", side_effect=spy_sync)
    mocker.patch("os.rename", side_effect=spy(rename, "name"))
    mocker.patch("os.replace", side_effect=spy(replace, "name"))
    model = install(disk, "model-a")
    new = f"models/.{model.sha1}"
    assert said == [
        f"sync {new}/a/weights",
        f"sync {new}/labels",
        f"sync {new}/a",
        f"sync {new}",
        f"name models/{model.sha1}",
        "sync models",
    ]
    said.clear()
    release = disk.build(Offer("plan-1", (model,)))
    new = f"releases/.{release.id}"
    assert said == [
        f"sync {new}/.release.json",
        f"name {new}/release.json",
        f"sync {new}",
        f"sync {new}",
        f"name releases/{release.id}",
        "sync releases",
    ]
    said.clear()
    disk.switch(release.id)
    assert said == ["name current", "sync ."]
    said.clear()
    write(disk.folder / "state.json", b"{}")
    assert said == ["sync .state.json", "name state.json", "sync ."]


# --- the owner's command ---


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('test "$EDGE_MODEL_NAME" = counter', None),
        ("echo no such GPU; exit 3", "The check command ended with 3: no such GPU."),
        ("yes | head -c 1000000; exit 4", f"The check command ended with 4: {'y ' * 199}y."),
        (r"printf 'bad\0mo\033[2Jdel\r\n\377'; exit 6", "The check command ended with 6: bad mo [2Jdel \ufffd."),
        ("kill -9 $$", "The check command ended with -9."),
        ("sleep 60 & exit 0", None),
        ("exec >&- 2>&-; sleep 0.2; exit 5", "The check command ended with 5."),
        ("sleep 60", "The check command did not end within 1 seconds."),
        ("exec >&- 2>&-; sleep 60", "The check command did not end within 1 seconds."),
        ("yes", "The check command did not end within 1 seconds."),
    ],
)
def test_the_owners_command_says_yes_or_why_not(script: str, reason: str | None) -> None:
    timeout = 1 if reason is not None and "within" in reason else 60
    begin = time.monotonic()
    assert check.run(["/bin/sh", "-c", script], {"EDGE_MODEL_NAME": "counter"}, timeout) == reason
    assert time.monotonic() - begin < 30


def test_a_command_that_is_not_there_is_a_no() -> None:
    assert check.run(["/none"], {}, 1) == "The check command cannot be run: No such file or directory."


# --- what the agent may use ---


@pytest.mark.parametrize("path", files("edge_manager/agent"), ids=name_of)
def test_the_agent_runs_on_python_39_with_boto3_alone(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    newer = {"tomllib", "_sysconfig"}
    allowed = (sys.stdlib_module_names - newer) | {"boto3", "botocore"}
    for name in imports(path):
        assert (
            name.split(".")[0] in allowed or name == "edge_manager.agent" or name.startswith("edge_manager.agent.")
        ), name
