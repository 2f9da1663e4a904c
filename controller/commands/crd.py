"""`edgeplan crd [FOLDER]`: the CustomResourceDefinition, printed, written or compared with the file that is there."""

import argparse
import sys

from controller.schema import crd


def run(parsed: argparse.Namespace) -> int:
    """Print the definition, write it into a folder, or check the one there. Exit code 1: out of date."""
    if parsed.folder is None:
        sys.stdout.write(crd.render())
        return 0
    if not parsed.check:
        sys.stdout.write(f"{crd.write(parsed.folder)}\n")
        return 0
    path = parsed.folder / crd.FILE_NAME
    if path.exists() and path.read_text(encoding="utf-8") == crd.render():
        return 0
    sys.stderr.write(f"{path} is out of date; run: edgeplan crd {parsed.folder}\n")
    return 1
