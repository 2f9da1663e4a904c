"""`edgeplan validate FILE...`: manifests checked offline, by the rules that the API server applies."""

import argparse
import sys

from controller.schema.manifests import check


def run(parsed: argparse.Namespace) -> int:
    """Print FILE:LINE: FIELD: PROBLEM for each problem. Exit code 0: none, 1: some."""
    problems, checked = check(parsed.files)
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stderr.write(f"{checked} checked, {len(problems)} {'problem' if len(problems) == 1 else 'problems'}\n")
    return 1 if problems else 0
