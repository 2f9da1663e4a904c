"""The command line as a whole: its commands, its help, how a wrong use of it ends, and what it loads."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from controller.cli import COMMANDS, edgeplan, main
from tests.pages import blocks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/cli.md"


def command(name: str) -> click.Command:
    with click.Context(edgeplan) as context:
        found = edgeplan.get_command(context, name)
    assert found is not None
    return found


def test_the_page_has_a_section_for_every_command_in_the_order_of_the_help() -> None:
    sections = re.findall(r"(?m)^## `edgeplan ([a-z]+)", PAGE.read_text(encoding="utf-8"))
    named = re.findall(r"(?m)^## `edgeplan [a-z]+[^\n]*$", PAGE.read_text(encoding="utf-8"))
    assert len(sections) == len(named)
    both = [word for line in named for word in re.findall(r"`edgeplan ([a-z]+)", line)]
    assert both == [*COMMANDS]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_every_flag_of_a_command(name: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (section,) = [part for part in re.split(r"(?m)^## ", text)[1:] if f"`edgeplan {name}" in part.splitlines()[0]]
    shared = text.partition("\n## ")[0]
    if name == "run":
        return  # its flags are on the page about installing, and in `edgeplan run --help`
    flags = [max(option.opts, key=len) for option in command(name).params if isinstance(option, click.Option)]
    assert [flag for flag in flags if f"`{flag}" not in section + shared] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_called_what_the_list_says_and_has_a_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(name).name == name
    assert main([name, "--help"]) == 0
    assert "Usage: edgeplan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["getx"], "No such command 'getx'"),
        (["get", "--nope"], "No such option"),
        (["get", "a", "-A"], "NAME is of one namespace"),
        (["get", "-w", "-o", "json"], "--watch is for people"),
        (["wait", "a", "--for", "good"], "'good' is none of ready, delete and stage=NAME"),
        (["wait", "a", "--timeout", "5"], "duration '5' is not of the form"),
        (["export"], "either names of plans or --all"),
        (["export", "a", "--all"], "either names of plans or --all"),
        (["diff", "--cluster-id", "a/b", "x.yaml"], "'a/b' is not 1 to 63 letters"),
        (["promote", "a", "x.yaml", "--live"], "--live changes the object"),
        (["validate"], "Missing argument"),
    ],
)
def test_a_wrong_use_is_exit_code_2_and_says_what_is_wrong(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_hook_that_validates_loads_neither_boto3_nor_kopf_nor_the_kubernetes_client() -> None:
    code = (
        "import sys; from controller.cli import main; main(['validate', 'examples']); "
        "print([name for name in ('boto3', 'kopf', 'kubernetes', 'aiohttp', 'rich') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout == "[]\n"


def test_both_names_of_the_command_are_installed() -> None:
    folder = Path(sys.executable).parent
    for name in ("edgeplan", "kubectl-edgeplan"):
        ended = subprocess.run([folder / name, "version"], capture_output=True, text=True, check=True)
        assert re.fullmatch(r"edgeplan \d+\.\d+\.\d+, edgeplan\.dev/v1alpha1\n", ended.stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_told_how_to_complete(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_EDGEPLAN_COMPLETE" in capsys.readouterr().out


def test_commands_complete() -> None:
    asked = {"_EDGEPLAN_COMPLETE": "bash_complete", "COMP_WORDS": "edgeplan re", "COMP_CWORD": "1"}
    executable = Path(sys.executable).parent / "edgeplan"
    ended = subprocess.run([executable], capture_output=True, text=True, check=False, env={**os.environ, **asked})
    assert set(ended.stdout.split()) == {"plain,reconcile", "plain,retry", "plain,resume"}


BAD = """\
apiVersion: edgeplan.dev/v1alpha1
kind: EdgeDeploymentPlan
metadata: {name: store}
spec: {modelConfigs: [], deviceFleetName: a b}
"""


@pytest.fixture
def validated(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    Path("plan.yaml").write_text(BAD)

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        return main(["validate", *arguments]), capsys.readouterr().out

    return run


def test_a_program_gets_the_problems_as_json(validated: Callable[..., Any]) -> None:
    code, out = validated("-o", "json", "plan.yaml")
    told = json.loads(out)
    (problem,) = told["problems"]
    assert (code, told["checked"]) == (1, 1)
    assert (problem["file"], problem["line"], problem["field"], problem["rule"]) == (
        *("plan.yaml", 4, "spec.deviceFleetName"),
        "invalid",
    )


def test_a_code_host_gets_them_as_sarif(validated: Callable[..., Any]) -> None:
    code, out = validated("-o", "sarif", "plan.yaml")
    (run,) = json.loads(out)["runs"]
    (result,) = run["results"]
    assert code == 1
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "plan.yaml"},
        "region": {"startLine": 4},
    }
    assert result["ruleId"] in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert result["message"]["text"].startswith('spec.deviceFleetName: Invalid value: "a b"')


def test_an_empty_folder_is_an_error_unless_it_is_allowed(validated: Callable[..., Any]) -> None:
    Path("none").mkdir()
    code, out = validated("none")
    assert (code, out) == (1, "none:1: no EdgeDeploymentPlan in this folder (--allow-empty permits that)\n")
    assert validated("--allow-empty", "none") == (0, "")


def test_completion_is_made_as_install_cli_md_says(tmp_path: Path) -> None:
    (making,) = [block for block in blocks(ROOT / "docs/install-cli.md") if block.how == "run"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(["sh", "-ec", making.script], env={**os.environ, "PATH": path}, cwd=tmp_path, check=True)
    assert "_EDGEPLAN_COMPLETE=bash_complete" in (tmp_path / "edgeplan-completion.bash").read_text()
