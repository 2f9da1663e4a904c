"""docs/edge-manager.md and docs/install.md say what the code does."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_manager.api.calls import OPERATIONS
from edge_manager.api.service import REGISTERED
from edge_manager.commands import add_fleet, add_serve
from edge_manager.domain.access import OPERATOR_OPERATIONS
from tests.pages import ROOT, blocks

FOLDER = Path(__file__).parents[2] / "docs"
SIZING = (FOLDER / "edge-manager-sizing.md").read_text(encoding="utf-8")
DOCS = (FOLDER / "edge-manager.md").read_text(encoding="utf-8")


def test_every_operation_is_documented() -> None:
    assert REGISTERED
    table = DOCS.split("## What it does")[1].split("##")[0]
    documented = set(re.findall(r"`([A-Z][A-Za-z]+)`", table.split("References are strict")[0]))
    assert documented == {*OPERATIONS, "GetCallerIdentity", "AssumeRole"}


def test_every_option_of_serve_is_documented() -> None:
    parser = argparse.ArgumentParser()
    add_serve(parser)
    options = set(re.findall(r"--[a-z][a-z-]+", parser.format_help())) - {"--help"}
    assert [option for option in sorted(options) if f"`{option}`" not in DOCS] == []


def test_every_option_of_fleet_simulate_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_fleet(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["simulate", "--help"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert [option for option in sorted(options) if f"`{option}`" not in SIZING] == []


def test_an_operators_key_may_what_the_iam_policy_says() -> None:
    policy = (FOLDER / "install.md").read_text(encoding="utf-8")
    assert set(re.findall(r'"sagemaker:(\w+)"', policy)) == OPERATOR_OPERATIONS


def test_keys_of_edge_manager_md_are_made_and_changed_as_it_says(tmp_path: Path) -> None:
    setting_up, changing = (block.script for block in blocks(FOLDER / "edge-manager.md") if block.how == "run")
    served, ended = setting_up.rsplit("\n", 2)[0], "python -m edge_manager serve"
    assert setting_up == f"{served}\n{ended}\n"  # which does not end
    script = f"{served}\n{changing}\npython -m edge_manager keys list".replace("/var/lib/edge-manager", str(tmp_path))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-ec", script],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    keys = [json.loads(line)["AccessKeyId"] for line in done.stdout.splitlines() if line.startswith("{")]
    *_, listed = done.stdout.splitlines()
    assert keys[-1] in listed
    assert keys[0] not in listed
