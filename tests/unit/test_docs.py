"""The pages hold: links lead somewhere, shell blocks say who runs them, reasons have their sections."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.domain.reasons import Reason
from docs import site
from docs.generate import policies
from tests.pages import LAST_WORDS, ROOT, anchors, blocks, pages, prose

PAGES = pages()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def dead(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere in this repository."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", prose(text))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        there = target.exists() and target.is_relative_to(ROOT)
        shown = target.read_text(encoding="utf-8") if target != page and target.suffix == ".md" and there else text
        if not there or (anchor and anchor not in anchors(shown)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert dead(page, page.read_text(encoding="utf-8")) == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    page = ROOT / "docs" / "index.md"
    text = "# A `b` c\n[a](#a-b-c) [b](#b) [c](cli.md) [d](gone.md) [e](cli.md#gone) [f](../../etc) [g](https://e.org)"
    assert dead(page, text) == ["#b", "gone.md", "cli.md#gone", "../../etc"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_shell_block_is_run_by_a_test_or_marked_why_not(page: Path) -> None:
    for block in blocks(page):
        where = f"{name_of(page)}:{block.line}"
        assert block.how, f"{where}: write <!-- run: the test --> or <!-- not run: why --> on the line before the block"
        if block.how != "not run":
            test = ROOT / block.why
            assert test.is_file(), f"{where}: there is no {block.why}"
            assert page.name in test.read_text(encoding="utf-8"), f"{where}: {block.why} does not read {page.name}"


def test_a_block_without_a_mark_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: why -->\n```console\n$ a \\\n  b\nc\n$ d\n```\n\n```sh\ne\n```\n")
    assert [(block.how, block.script) for block in blocks(page)] == [("not run", "a \\\n  b\nd\n"), (None, "e\n")]


def test_every_reason_has_its_section_in_troubleshooting() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"(?m)^### (\w+)$", text))
    reasons = {str(reason) for reason in set(Reason) - LAST_WORDS}
    assert sorted(sections) == sorted(reasons)


def test_operator_and_role_allow_what_a_session_with_tags_needs() -> None:
    install = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    trusts = [json.loads(text) for text in re.findall(r"(?ms)^```json\n(.*?)^```$", install) if '"Principal"' in text]
    (trust,), (caller,) = trusts[0]["Statement"], policies()["assume-role"]["Statement"]
    assert len(trusts) == 1
    assert caller["Action"] == trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]


def entries(nav: Any) -> Iterator[str]:
    """The pages of a navigation."""
    if isinstance(nav, str):
        yield nav
    else:
        for inner in nav.values() if isinstance(nav, dict) else nav:
            yield from entries(inner)


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    # mkdocs.yml names a function of an extension, which the base loader reads as text.
    configuration = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506
    on_the_site = [name for name in site.places().values() if name.endswith(".md")]
    assert sorted(entries(configuration["nav"])) == sorted(on_the_site)


def test_links_of_the_site_stay_on_it_or_lead_to_the_repository(tmp_path: Path) -> None:
    site.prepare(tmp_path / "alone", "")
    site.prepare(tmp_path / "linked", "https://git.example.com/edgeplan/blob/main")
    for folder in (tmp_path / "alone", tmp_path / "linked"):
        for page in folder.rglob("*.md"):
            found = re.findall(
                r"\]\(([^)\s#]+)[^)\s]*\)", re.sub(r"`[^`]*`", "", prose(page.read_text(encoding="utf-8")))
            )
            local = [link for link in found if not re.match(r"[a-z]+:", link)]
            assert [link for link in local if not (page.parent / link).is_file()] == [], page
    assert "/blob/main/argocd/resource_customizations" in (tmp_path / "linked" / "argocd.md").read_text()
    assert "(../" not in (tmp_path / "alone" / "argocd.md").read_text()
