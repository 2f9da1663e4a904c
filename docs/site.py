"""Prepare the pages for the site: docs/ and the project's pages beside it, with links that lead there from a site.

`make docs` runs it. A link to a source file or a folder leads to the repository that --repository names; without one
only its text is left.
"""
# ruff: noqa: INP001 - a script beside the pages, not a module of the package

from __future__ import annotations

import argparse
import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Pages that stand elsewhere in the repository, and their names on the site.
ELSEWHERE = {
    "README.md": "readme.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "charts/edgeplan/README.md": "chart.md",
    "charts/edge-manager/README.md": "edge-manager-chart.md",
}
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCES = re.compile(r"(?ms)(^```.*?^```$)")


def main(arguments: list[str] | None = None) -> int:
    """Fill the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repository", default="", metavar="URL", help="where files are seen, such as …/blob/main")
    parsed = parser.parse_args(arguments)
    prepare(parsed.folder, parsed.repository)
    return 0


def prepare(folder: Path, repository: str) -> None:
    """Fill the folder; what was in it goes."""
    if folder.exists():
        shutil.rmtree(folder)
    for source, name in places().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            text = source.read_text(encoding="utf-8")
            target.write_text(rewritten(text, source, name, repository), encoding="utf-8")
        else:
            shutil.copyfile(source, target)


def places() -> dict[Path, str]:
    """Each file of the site, and its name there."""
    docs = {
        path: path.relative_to(ROOT / "docs").as_posix()
        for path in sorted((ROOT / "docs").rglob("*"))
        if path.is_file() and path.suffix in {".md", ".json", ".png", ".svg"}
    }
    return docs | {ROOT / source: name for source, name in ELSEWHERE.items()}


def rewritten(text: str, source: Path, name: str, repository: str) -> str:
    """A page whose links lead to where their targets are on the site."""
    known = places()

    def moved(found: re.Match[str]) -> str:
        label, link = found[1], found[2]
        file, hash_sign, anchor = link.partition("#")
        if not file or re.match(r"[a-z]+:", link):
            return found[0]
        target = (source.parent / file).resolve()
        if target in known:
            there = os.path.relpath(known[target], Path(name).parent)
            return f"[{label}]({there}{hash_sign}{anchor})"
        if repository:
            return f"[{label}]({repository}/{target.relative_to(ROOT).as_posix()}{hash_sign}{anchor})"
        return label

    return "".join(part if part.startswith("```") else _LINK.sub(moved, part) for part in _FENCES.split(text))


if __name__ == "__main__":
    raise SystemExit(main())
