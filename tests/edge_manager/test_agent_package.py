"""What a device installs: the wheel, the systemd unit, the container, the example configuration."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from edge_manager.agent.config import FIELDS, parse
from edge_manager.agent.errors import ConfigError
from tests.edge_manager.agents import environment, package
from tests.edge_manager.processes import REGION
from tests.edge_manager.teams import named, wait

if TYPE_CHECKING:
    from tests.edge_manager.teams import Shop

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging/agent"
UNIT = (PACKAGING / "edge-manager-agent.service").read_text(encoding="utf-8")
DOCKERFILE = (PACKAGING / "Dockerfile").read_text(encoding="utf-8")
DOCS = (ROOT / "docs/edge-agent.md").read_text(encoding="utf-8")
RELEASE = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))["jobs"]


def built(folder: Path) -> Path:
    """The wheel, by the command of a release, which needs no network."""
    [command] = [step["run"] for step in RELEASE["agent"]["steps"] if "pip wheel" in step.get("run", "")]
    python, *arguments = shlex.split(command)
    assert python == "python"
    arguments[arguments.index("dist")] = str(folder)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"))


def test_a_release_looks_for_the_wheel_by_its_name_and_the_same_source_makes_the_same_wheel(
    wheel: Path, tmp_path: Path
) -> None:
    [looked_for] = [step["run"] for step in RELEASE["agent"]["steps"] if step.get("run", "").startswith("test -e")]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert wheel.name in looked_for.replace("${{ needs.names.outputs.version }}", version)
    assert built(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_page_of_a_release_has_what_every_job_uploads() -> None:
    uploading = {
        name
        for name, job in RELEASE.items()
        if any("actions/upload-artifact" in step.get("uses", "") for step in job.get("steps", ()))
    }
    assert "agent" in uploading
    assert uploading <= set(RELEASE["page"]["needs"])


def test_the_wheel_needs_boto3_alone_and_has_the_projects_version(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith("/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode())
        [entry_points] = [archive.read(each) for each in archive.namelist() if each.endswith("/entry_points.txt")]
    assert [re.split(r"[<>=]", need)[0] for need in metadata.get_all("Requires-Dist", [])] == ["boto3"]
    assert metadata["Requires-Python"] == ">=3.9"
    assert metadata["Version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert b"edge-manager-agent = edge_manager.agent.__main__:main" in entry_points


def test_the_wheel_holds_the_agent_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.endswith(".py")}
    assert held == {str(path.relative_to(ROOT)) for path in (ROOT / "edge_manager/agent").glob("*.py")}
    assert wheel.stat().st_size < 100_000


def test_the_wheel_runs_without_the_rest_of_the_repository(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; sys.path.append({sysconfig.get_path('purelib')!r});"
        "from edge_manager.agent.__main__ import main; main(['--config', 'none', '--check-config']);"
        "ours = {name for name in sys.modules if name.startswith('edge_manager')};"
        "print(sorted(name for name in ours if not name.startswith('edge_manager.agent')))"
    )
    command = [sys.executable, "-I", "-S", "-c", program]  # -S: no checkout that is installed in this environment
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("['edge_manager']\n", "none: No such file or directory\n")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_takes_the_unit_and_finds_it_well_confined(tmp_path: Path) -> None:
    file = tmp_path / "edge-manager-agent.service"
    file.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT))  # which need not be installed here
    verified = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", str(file)]
    rated = subprocess.run(command, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout


def test_unit_and_container_start_the_console_script_with_the_configuration_of_the_docs() -> None:
    script = tomllib.loads((PACKAGING / "pyproject.toml").read_text())["project"]["scripts"]
    [name] = script
    assert re.findall(r"(?m)^ExecStart=\S*/(\S+) (.*)$", UNIT) == [
        (name, "--config /etc/edge-manager-agent/agent.conf")
    ]
    assert f'ENTRYPOINT ["{name}", "--config", "/etc/edge-manager-agent/agent.conf"]' in DOCKERFILE
    assert re.findall(r"(?m)^USER (.*)$", DOCKERFILE) == ["65532:65532"]
    assert re.findall(r"(?m)^StateDirectory=(.*)$", UNIT) == ["edge-manager-agent"]


def test_the_example_configuration_is_read(tmp_path: Path) -> None:
    text = (PACKAGING / "agent.conf").read_text(encoding="utf-8")
    sections: dict[str, dict[str, str]] = {}
    for line in text.replace("#check", "check").splitlines():
        if line.startswith("["):
            fields = sections.setdefault(line.strip("[]"), {})
        elif "=" in line and not line.startswith("#"):
            name, _, value = line.partition(" = ")
            fields[name] = value
    with pytest.raises(ConfigError, match=r"key-file = /etc/edge-manager-agent/key\.json: must be a readable file"):
        parse(sections)
    key = tmp_path / "key.json"
    key.write_text('{"AccessKeyId": "AKIA", "SecretAccessKey": "s"}')
    for fields in sections.values():
        fields["key-file"] = str(key)
    with pytest.raises(
        ConfigError, match=r"check = /usr/local/bin/check-model: must begin with a program that is there"
    ):
        parse(sections)
    sections["agent"]["check"] = "/bin/sh"
    assert parse(sections).check == ("/bin/sh",)


def test_every_field_is_in_the_docs() -> None:
    documented = set(re.findall(r"(?m)^\| `([a-z-]+)`", DOCS.split("## Configuration")[1].split("\n## ")[0]))
    assert documented == FIELDS["agent"]


def test_every_variable_of_the_check_is_in_the_docs() -> None:
    given = set(re.findall(r'"(EDGE_[A-Z_]+)"', (ROOT / "edge_manager/agent/loop.py").read_text(encoding="utf-8")))
    assert given
    assert given == set(re.findall(r"`(EDGE_[A-Z_]+)`", DOCS))


def test_what_is_registered_by_the_page_on_moving_is_deployed(shop: Shop) -> None:
    [program] = re.findall(r"(?s)```python\n(.*?)```", (ROOT / "docs/moving-a-fleet.md").read_text(encoding="utf-8"))
    shop.s3.put_object(Bucket="models", Key="compiled/shelf-counter.tar.gz", Body=package({"weights": b"w"}))
    variables = {
        "AWS_ENDPOINT_URL_SAGEMAKER": shop.service.url,
        "AWS_ACCESS_KEY_ID": shop.admin.principal.access_key,
        "AWS_SECRET_ACCESS_KEY": shop.admin.secret,
        "AWS_DEFAULT_REGION": REGION,
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment() | variables, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    describe = shop.sagemaker.describe_edge_packaging_job
    wait(lambda: describe(EdgePackagingJobName="shelf-counter-1-2")["EdgePackagingJobStatus"])
    shop.plan("tills", named("all", "till"), job="shelf-counter-1-2")
    shop.start("tills", "all")
    offer = shop.ask("till-1")
    assert offer is not None
    [definition] = offer["Definitions"]
    assert definition["S3Url"] == "s3://models/packages/shelf-counter-1-2/shelf-counter-1.2.tar.gz"
