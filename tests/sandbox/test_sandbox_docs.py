"""docs/sandbox.md lists every setting, fault field and operation as the code has it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_manager.api.calls import CONTROL, names
from edge_manager.sandbox.client import PREFIX
from edge_manager.sandbox.clock import Clock
from edge_manager.sandbox.control import Control
from edge_manager.sandbox.faults import Fault
from edge_manager.sandbox.service import Service
from edge_manager.sandbox.settings import Settings
from tests.pages import ROOT, blocks

if TYPE_CHECKING:
    from pydantic import BaseModel

    from edge_manager.sandbox.server import Sandbox

DOCS = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("values", [Settings(), Fault()], ids=["settings", "faults"])
def test_every_field_is_documented_with_its_default(values: BaseModel) -> None:
    defaults = values.model_dump(by_alias=True)
    for field in type(values).model_fields.values():
        row = f"| `{field.alias}` | `{json.dumps(defaults[str(field.alias)])}` | {field.description} |"
        assert row in DOCS


def test_every_route_is_documented() -> None:
    for route in Control(Service(Settings(), Clock.real(0))).routes():
        path = route.path.removeprefix(PREFIX).replace("{name}", "<name>").replace("{id:[0-9]+}", "<id>")
        row = next(line for line in DOCS.splitlines() if line.startswith("|") and f"`{path}`" in line.split("|")[1])
        assert route.method in row


def test_every_operation_is_documented() -> None:
    assert [operation for operation in names(CONTROL) if f"`{operation}`" not in DOCS] == []


def test_curl_turns_what_the_page_says(sandbox: Sandbox) -> None:
    (turning,) = [block for block in blocks(ROOT / "docs" / "sandbox.md") if block.how == "run"]
    script = turning.script.replace("localhost:4566", sandbox.url).replace(
        "curl ", "curl --silent --show-error --fail "
    )
    subprocess.run(["sh", "-ec", script], check=True, capture_output=True)
    assert sandbox.settings()["quota"] == 3
    assert [rule["mode"] for rule in sandbox.faults()] == ["drop_after"]
