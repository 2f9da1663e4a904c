"""`edgeplan crd [FOLDER]`: the CustomResourceDefinition, printed, written or compared with the file that is there."""

import argparse
import sys

from controller.schema import crd
from controller.schema.generated import write_or_check


def run(parsed: argparse.Namespace) -> int:
    """Print the definition, write it into a folder, or check the one there. Exit code 1: out of date."""
    if parsed.folder is None:
        sys.stdout.write(crd.render())
        return 0
    files = {parsed.folder / crd.FILE_NAME: crd.render()}
    return write_or_check(files, check=parsed.check, command=f"edgeplan crd {parsed.folder}")
