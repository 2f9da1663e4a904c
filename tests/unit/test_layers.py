"""Arrows point one way: domain <- engine <- {aws, cluster, schema} <- operator <- commands <- cli."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What each folder of the operator may import of it, its own included.
BELOW_OPERATOR = frozenset({"domain", "engine", "aws", "cluster", "schema"})
ALLOWED: dict[str, frozenset[str]] = {
    "domain": frozenset({"domain"}),
    "engine": frozenset({"domain", "engine"}),
    "aws": frozenset({"domain", "engine", "aws"}),
    "cluster": frozenset({"domain", "engine", "cluster"}),
    "schema": frozenset({"domain", "engine", "schema"}),
    "operator": BELOW_OPERATOR | {"operator"},
    "commands": BELOW_OPERATOR | {"operator", "commands"},
    "cli": frozenset({"commands", "operator", "cli"}),
}
# The one folder, or two, that knows a library: nothing else would have to change with it.
LIBRARIES: dict[str, frozenset[str]] = {
    "boto3": frozenset({"aws", "commands"}),
    "botocore": frozenset({"aws"}),
    "kubernetes": frozenset({"cluster"}),
    "kopf": frozenset({"operator", "commands"}),
    "click": frozenset({"commands", "cli"}),
    "rich": frozenset({"commands"}),
    "opentelemetry": frozenset({"operator"}),
}


def files(package: str) -> list[Path]:
    return sorted(path for path in (ROOT / package).rglob("*.py") if path != ROOT / package / "__init__.py")


def imports(path: Path) -> set[str]:
    """The full names of all modules that a file imports, wherever in the file it does so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if "." not in module else {module}
    return found


def packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def layer(path: Path) -> str:
    return path.relative_to(ROOT / "controller").parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files("controller"), ids=name_of)
def test_arrows_point_one_way(path: Path) -> None:
    assert layer(path) in ALLOWED, f"{layer(path)} has no place in the layers: give it one here and in docs"
    used = {name.split(".")[1] for name in imports(path) if name.startswith("controller.")}
    assert used <= ALLOWED[layer(path)], f"{name_of(path)} imports {sorted(used - ALLOWED[layer(path)])}"
    assert not packages(path) & {"edge_manager", "playground"}


@pytest.mark.parametrize("path", files("controller"), ids=name_of)
def test_each_library_is_known_in_one_place(path: Path) -> None:
    for library in packages(path) & LIBRARIES.keys():
        assert layer(path) in LIBRARIES[library], f"{name_of(path)} imports {library}"


@pytest.mark.parametrize("path", files("controller/domain"), ids=name_of)
def test_domain_imports_only_the_standard_library_and_pydantic(path: Path) -> None:
    assert packages(path) - sys.stdlib_module_names <= {"pydantic", "pydantic_core", "controller"}


@pytest.mark.parametrize("path", files("controller/domain"), ids=name_of)
def test_domain_reads_no_clock_and_rolls_no_dice(path: Path) -> None:
    assert not imports(path) & {"time", "random", "os", "asyncio", "threading", "socket", "pathlib", "logging"}
    text = path.read_text(encoding="utf-8")
    assert not any(call in text for call in ("datetime.now(", "datetime.utcnow(", "date.today("))


@pytest.mark.parametrize("path", files("edge_manager"), ids=name_of)
def test_edge_manager_knows_nothing_of_the_operator(path: Path) -> None:
    assert not packages(path) & {"controller", "playground", "kopf"}


@pytest.mark.parametrize("path", files("playground"), ids=name_of)
def test_playground_meets_the_operator_as_its_users_do(path: Path) -> None:
    assert not packages(path) & {"controller", "kopf"}
