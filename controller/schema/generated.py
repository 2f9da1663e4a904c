"""Generated files: written, or compared with what would be written. One helper for every generator of this project."""

import sys
from collections.abc import Mapping
from pathlib import Path


def write_or_check(files: Mapping[Path, str], *, check: bool, command: str) -> int:
    """Write each file and print its path, or with `check` write nothing and tell which are out of date.

    `command` is what brings them up to date. Exit code 1: something is out of date.
    """
    if not check:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}\n")
        return 0
    stale = [path for path, text in files.items() if _on_disk(path) != text]
    for path in stale:
        state = "out of date" if path.exists() else "missing"
        sys.stderr.write(f"{path} is {state}; run: {command}\n")
    return 1 if stale else 0


def _on_disk(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
