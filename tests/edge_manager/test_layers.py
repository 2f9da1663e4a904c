"""Arrows point one way: domain <- store <- api <- commands; the sandbox has no store, agents stand apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_layers import files, imports, name_of, packages

ROOT = Path(__file__).parents[2] / "edge_manager"
# What each folder may import of the package; `errors` is everybody's.
SHARED = {"errors"}
ALLOWED = {
    "domain": {"domain", *SHARED},
    "store": {"domain", "store", *SHARED},
    "agent": {"agent"},  # a distribution of its own
    "simulate": {"simulate"},  # a client like any other
    "api": {"domain", "store", "api", "artifacts", *SHARED},
    "sandbox": {"domain", "api", "sandbox", *SHARED},
}
LIBRARIES = {
    "sqlalchemy": {"store", "api"},
    "alembic": {"store"},
    "cryptography": {"store"},
    "aiohttp": {"api", "sandbox", "simulate"},
    "prometheus_client": {"api"},
    "pydantic": {"sandbox"},
}


@pytest.mark.parametrize("path", [path for folder in ALLOWED for path in files(f"edge_manager/{folder}")], ids=name_of)
def test_arrows_point_one_way(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    used = {name.split(".")[1] for name in imports(path) if name.startswith("edge_manager.")}
    assert used <= ALLOWED[layer], f"{name_of(path)} imports {sorted(used - ALLOWED[layer])}"
    for library in packages(path) & LIBRARIES.keys():
        assert layer in LIBRARIES[library], f"{name_of(path)} imports {library}"


@pytest.mark.parametrize("path", files("edge_manager/domain"), ids=name_of)
def test_the_domain_reads_no_clock_and_rolls_no_dice(path: Path) -> None:
    assert packages(path) - sys.stdlib_module_names <= {"edge_manager"}
    assert not imports(path) & {"time", "random", "os", "asyncio", "threading", "socket", "pathlib", "logging"}


BOTH = ("calls", "dispatch", "fleet_calls", "job_calls", "plan_calls", "ports", "sts", "tag_calls", "throttle", "wire")


@pytest.mark.parametrize("module", BOTH)
def test_what_the_sandbox_and_the_service_share_knows_neither(module: str) -> None:
    used = {name.split(".")[1] for name in imports(ROOT / "api" / f"{module}.py") if name.startswith("edge_manager.")}
    assert not used & {"store", "sandbox"}


def test_the_sandbox_runs_without_what_only_the_service_needs() -> None:
    code = "import sys, edge_manager.sandbox.server; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"sqlalchemy", "alembic", "cryptography", "psycopg"} & set(loaded)
