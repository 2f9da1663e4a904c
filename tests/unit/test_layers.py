"""Arrows point one way: domain <- ports <- {reconciler, adapters, ...} <- operator <- handlers <- cli."""

import ast
import sys
from pathlib import Path

import pytest

import controller

ROOT = Path(controller.__file__).parent
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"domain"}),
    frozenset({"ports"}),
    frozenset({"reconciler", "convergence", "run", "quotas", "index", "workqueue", "sweeper", "adapters"}),
    frozenset({"operator"}),
    frozenset({"handlers"}),
    frozenset({"cli"}),
)
# Modules beside the arrows and what of this package each may use.
BESIDE: dict[str, frozenset[str]] = {
    "settings": frozenset({"domain"}),
    "crd": frozenset({"domain"}),
    "manifests": frozenset({"domain"}),
    "sandbox": frozenset({"sandbox"}),
    "sandbox/demo": frozenset({"sandbox", "domain", "crd", "manifests"}),
}
# The command line, and each module of it, may use everything.
ABOVE = frozenset({"cli", "commands"})
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem != "__init__")


def imports(path: Path) -> set[str]:
    """The full names of all modules that a file imports, wherever in the file it does so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "controller" else {module}
    return found


def layer(path: Path) -> str:
    """The part of the package that a file belongs to."""
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def allowed(part: str) -> frozenset[str]:
    """The parts that a part may import, its own included."""
    if part in ABOVE:
        return frozenset(layer(path) for path in FILES)
    if part in BESIDE:
        return BESIDE[part] | {part}
    level = next((number for number, names in enumerate(LAYERS) if part in names), None)
    assert level is not None, f"{part} has no place in the layers: give it one here and in docs"
    below = frozenset[str]().union(*LAYERS[:level])
    # Parts of one layer know each other one way only, and adapters and the loop not at all.
    beside = (
        LAYERS[level] - {"adapters", "reconciler"} if part not in {"adapters", "index", "workqueue"} else frozenset()
    )
    return below | beside | {part} | ({"settings"} if level > 2 else frozenset())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_one_way(path: Path) -> None:
    part = layer(path)
    own = {name.split(".")[1] for name in imports(path) if name.startswith("controller.")}
    may = BESIDE["sandbox/demo"] if path.is_relative_to(ROOT / "sandbox" / "demo") else allowed(part)
    assert own <= may, f"{path.relative_to(ROOT)} imports {sorted(own - may)}"


@pytest.mark.parametrize("path", sorted((ROOT / "domain").glob("*.py")), ids=lambda path: str(path.name))
def test_domain_imports_only_the_standard_library_and_pydantic(path: Path) -> None:
    foreign = {name.split(".")[0] for name in imports(path)} - sys.stdlib_module_names
    assert foreign <= {"pydantic", "pydantic_core", "controller"}


@pytest.mark.parametrize("path", sorted((ROOT / "domain").glob("*.py")), ids=lambda path: str(path.name))
def test_domain_reads_no_clock_and_rolls_no_dice(path: Path) -> None:
    assert not imports(path) & {"time", "random", "os", "asyncio", "threading", "socket", "pathlib", "logging"}
    text = path.read_text(encoding="utf-8")
    assert not any(call in text for call in ("datetime.now(", "datetime.utcnow(", "date.today("))


@pytest.mark.parametrize("path", sorted((ROOT / "sandbox").glob("*.py")), ids=lambda path: str(path.name))
def test_sandbox_knows_nothing_of_the_operator(path: Path) -> None:
    names = imports(path)
    assert not {name for name in names if name.startswith("controller.") and not name.startswith("controller.sandbox")}
    assert "kopf" not in {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_library_is_known_in_one_place(path: Path) -> None:
    """Boto3 in the adapters and Kopf in the wiring: nothing else would have to change with them."""
    libraries = {name.split(".")[0] for name in imports(path)}
    part = layer(path)
    if part not in {"adapters", "sandbox", *ABOVE}:
        assert not libraries & {"boto3", "botocore", "kubernetes"}
    if part not in {"handlers", *ABOVE}:
        assert "kopf" not in libraries
