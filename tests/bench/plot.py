"""`python -m tests.bench plot FILE… PICTURE`: what the phases cost an object, over the number of objects, as a picture."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PANELS: Final[tuple[tuple[str, Callable[[dict[str, Any]], float]], ...]] = (
    ("seconds", lambda row: float(row["wall"])),
    ("controller: ms of CPU an object", lambda row: float(row["cpu"]["controller"]) / row["objects"] * 1000),
    ("API server: ms of CPU an object", lambda row: float(row["cpu"]["apiserver"]) / row["objects"] * 1000),
    ("AWS calls an object", lambda row: sum(row["aws"].values()) / row["objects"]),
    ("API requests an object", lambda row: sum(row["api"].values()) / row["objects"]),
    ("memory in MB", lambda row: float(row["memory"])),
)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench plot", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="figures that --out wrote")
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="an .svg or .png")
    chosen = parser.parse_args(arguments)
    rows = [row for file in chosen.files for row in json.loads(file.read_text())["figures"] if not row["trouble"]]
    try:
        draw(rows, chosen.picture)
    except ImportError:
        sys.stderr.write("the picture needs matplotlib: pip install --require-hashes -r requirements-bench.lock\n")
        return 2
    return 0


def draw(rows: list[dict[str, Any]], picture: Path) -> None:
    """A panel for each figure, in it a line for each phase: solid is ours, dashed a Go controller's."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - only the picture needs it

    figure = Figure(figsize=(13, 8), layout="constrained")
    phases = list(dict.fromkeys(row["phase"] for row in rows))
    for axes, (title, value) in zip(figure.subplots(2, 3).flat, _PANELS, strict=True):
        for number, phase in enumerate(phases):
            for controller, style in (("ours", "-o"), ("go", "--s")):
                found = sorted(
                    (row["objects"], value(row))
                    for row in rows
                    if (row["phase"], row["controller"]) == (phase, controller)
                )
                if found:
                    label = f"{phase}, {controller}"
                    axes.plot(*zip(*found, strict=True), style, color=f"C{number}", label=label, markersize=4)
        axes.set(title=title, xscale="log", xlabel="objects")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6)
    figure.savefig(picture)
