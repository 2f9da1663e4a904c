"""The pages of the documentation and the shell blocks in them, each with the mark that says who runs it.

A mark is a comment on the line before the block: `<!-- run: tests/…/test_x.py -->`, `<!-- background: … -->` for what
does not end, or `<!-- not run: why -->`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from controller.domain.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SHELLS = ("console", "sh", "bash", "shell")
# Only in events of objects that are gone.
LAST_WORDS = {Reason.DELETED, Reason.KEPT, Reason.RETAINED}
_MARK = re.compile(r"<!-- (run|background|not run): (.+) -->")
_BLOCK = re.compile(r"(?ms)^(?P<mark>[^\n]*)\n```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```$")


@dataclass(frozen=True)
class Block:
    """A shell block of a page."""

    page: Path
    line: int
    how: str | None
    """`run`, `background` or `not run`; None: it bears no mark."""
    why: str
    """The test that runs it, or why none does."""
    script: str
    """What is typed in, without what is answered."""


def pages() -> list[Path]:
    """Every page that people read."""
    patterns = ("*.md", "docs/**/*.md", "charts/*/README.md", "packaging/*/README.md")
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```$", "", text)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"(?m)^#+ (.+)$", prose(text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {slug if number == 0 else f"{slug}-{number}" for slug, last in found.items() for number in range(last + 1)}


def blocks(page: Path) -> Iterator[Block]:
    """The shell blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        if found["language"] in SHELLS:
            mark = _MARK.fullmatch(found["mark"].strip())
            how, why = (mark[1], mark[2]) if mark else (None, "")
            typed = _typed(found["text"]) if found["language"] == "console" else found["text"]
            yield Block(page, text.count("\n", 0, found.start("text")), how, why, typed)


def _typed(session: str) -> str:
    """The commands of a session: lines with a prompt, and what goes on after a backslash."""
    lines, goes_on = [], False
    for line in session.splitlines():
        if goes_on or line.startswith("$ "):
            lines.append(line.removeprefix("$ "))
            goes_on = line.endswith("\\")
    return "\n".join(lines) + "\n"
