"""Rules of the house that no linter knows: sizes, line lengths, pins, mocks, and commands that docs name."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from controller.cli import COMMANDS

ROOT = Path(__file__).parents[2]
LONGEST = 120


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- size ---

# The loop was cut down to 2,500 lines; what was added since, and why it is there: 30 for the order of the queue, 65 for
# rights to replace plans and shares of quota, 90 for outages told apart and failed devices by name, 130 for sweeps of what
# changed, rollouts that are followed by them, and queues of ten thousand, 10 for plans that need no look after their create,
# 17 for events that repeat as one, of suspending, references that are missing, and the pace of following many rollouts;
# 18 for what an object that is gone asked for last, and who waits for its plan; 23 for deletions that cost a call less
# than to look first; 13 for what a suspended rollout and a deletion that cannot look are told, and one event where a stage
# ends a rollout; 5 for places in a share that become free just then, and for values that are kept once; 32 for what differs under Observe, and until when; 9 for plans that
# come again; 73 for replacements that take nothing down before the new plan can be made, for packaging jobs that are not
# finished, and for objects that never had a plan where their target is refused; 33 for audits of tags alone, for rollouts
# whose end the listing shows, for the end of what is missing, and for counts without a walk over all objects;
# 62 for bounds that hold for what runs whatever else holds a plan up, for devices that a replacement names, and for what
# is told while the plan is away and waited for when the object goes meanwhile; 27 for plans that lost their tag just before
# they are deleted, and creates without an answer that an earlier process made; 6 for other tenants' names, which are not told, and for the name of a plan that is replaced;
# 2 for objects that go while others are counted;
# 3 for specs that are not parsed again when a deletion begins, and queues in which a place costs no walk; 2 for what an
# object takes of memory.
MOST_CODE = 3_153
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(text: str) -> int:
    """How many lines are neither blank nor a comment nor part of a docstring or of an import."""
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        ):
            code.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def test_comments_blanks_and_docstrings_are_no_code() -> None:
    text = '"""Two\nlines."""\n\n# why\nX = """a\nb"""\n\n\nclass A:\n    """Doc."""\n\n    y: int = 1  # beside\n    """Doc."""\n'
    assert code_lines(text) == 4


def test_what_decides_and_runs_stays_within_its_bound() -> None:
    texts = [
        path.read_text(encoding="utf-8")
        for folder in ("domain", "engine")
        for path in (ROOT / "controller" / folder).rglob("*.py")
    ]
    code = sum(map(code_lines, texts))
    physical = sum(len(text.splitlines()) for text in texts)
    assert code <= MOST_CODE, f"controller/domain and controller/engine: {code} lines of code ({physical} in all)"


# --- length of lines ---

# ruff format sees to Python. Left out: what a program writes, and what must be one line.
HAND_WRITTEN = (
    *("*.md", "docs/**/*.md", ".github/**/*.md", "edge_manager/**/*.md"),
    *("Makefile", "Dockerfile", "pyproject.toml", ".github/**/*.yml", "examples/**/*.yaml", ".pre-commit-*.yaml"),
    *("charts/*/values.yaml", "charts/*/templates/**/*.yaml", "charts/*/templates/*.tpl", "packaging/**/*.md"),
    "argocd/resource_customizations/**/*.lua",
)
GENERATED = {"crd-edgeplan.dev_edgedeploymentplans.yaml"}


def texts() -> list[Path]:
    return sorted({path for pattern in HAND_WRITTEN for path in ROOT.glob(pattern) if path.name not in GENERATED})


def too_long(text: str, *, markdown: bool) -> Iterator[int]:
    """The numbers of lines that are too long and could be broken.

    A row of a table cannot be broken, nor can a word such as a URL; a block of code may be a program's own output.
    """
    in_block = False
    for number, line in enumerate(text.splitlines(), start=1):
        if markdown and line.lstrip().startswith("```"):
            in_block = not in_block
        excused = markdown and (in_block or line.startswith("|"))
        if len(line) > LONGEST and not excused and len(line.split()) > 2:
            yield number


@pytest.mark.parametrize("path", texts(), ids=name_of)
def test_lines_have_at_most_120_characters(path: Path) -> None:
    found = list(too_long(path.read_text(encoding="utf-8"), markdown=path.suffix == ".md"))
    assert not found, f"{name_of(path)}: break line {', '.join(map(str, found))}"


def test_only_rows_blocks_and_single_words_may_be_longer() -> None:
    words = "word " * 30
    assert list(too_long(f"{words}\n| {words}|\n```\n{words}\n```\n- {'u' * 130}\n{words}\n", markdown=True)) == [1, 7]
    assert list(too_long(f"| {words}\n", markdown=False)) == [1]


# --- pins ---


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=name_of)
def test_actions_are_pinned_by_commit_with_the_version_beside_it(path: Path) -> None:
    uses = re.findall(r"(?m)^\s*(?:- )?uses: (.*)$", path.read_text(encoding="utf-8"))
    assert uses
    for action in uses:
        pinned = re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
        assert action.startswith("./") or pinned, action


def test_one_action_has_one_pin() -> None:
    workflows = "".join(path.read_text(encoding="utf-8") for path in (ROOT / ".github/workflows").glob("*.yml"))
    pins = set(re.findall(r"uses: ([\w-]+/[\w-]+)@(.*)", workflows))
    assert len({action for action, _ in pins}) == len(pins)


def test_dependabot_moves_every_pinned_go_program() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    (go,) = [update for update in updates if update["package-ecosystem"] == "gomod"]
    pinned = [*(ROOT / "playground").rglob("go.mod"), *(ROOT / "tests").rglob("go.mod")]
    assert sorted(go["directories"]) == sorted(f"/{path.parent.relative_to(ROOT)}" for path in pinned)


def test_published_hook_is_a_command_of_the_cli() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    local = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    assert hook["entry"] == "edgeplan validate"
    assert {one["id"] for one in local} == {"ruff", "ruff-format", "mypy", hook["id"]}


@pytest.mark.parametrize("package", ["controller", "edge_manager", "playground"])
def test_package_tells_type_checkers_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


# --- mocks ---

TESTS = sorted((ROOT / "tests").rglob("*.py"))
PURE = (ROOT / "tests/unit", ROOT / "tests/life")


def mocks(path: Path) -> set[str]:
    """The mocking libraries that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith(("unittest.mock", "mock.", "pytest_mock"))}


def test_process_edges_are_faked_with_pytest_mock_and_pure_tests_need_no_mocks() -> None:
    users = {path: mocks(path) for path in TESTS if mocks(path)}
    assert users, "nothing fakes a process edge any more: say so in CONTRIBUTING.md and drop pytest-mock"
    assert {name for names in users.values() for name in names} == {"pytest_mock.MockerFixture"}
    assert not [name_of(path) for path in users if any(folder in path.parents for folder in PURE)]


# --- commands that docs name ---

PAGES = [path for path in texts() if path.suffix == ".md"]
TARGETS = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))


def subcommands(folder: str) -> set[str]:
    """The subcommands that a package's command line declares."""
    return set(re.findall(r'add_parser\(\s*"([a-z]+)"', (ROOT / folder / "__main__.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_in_docs_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    known = {"make": TARGETS, "edgeplan": {*COMMANDS}} | {
        f"python -m {package}": subcommands(package) for package in ("edge_manager", "playground")
    }
    known["edge-manager"] = known["python -m edge_manager"]
    for command, names in known.items():
        assert names, command
        for word in re.findall(rf"(?:\$ |`|bin/){command} ([a-z]+)\b", text):
            assert word in names, f"{name_of(path)}: {command} {word}"
