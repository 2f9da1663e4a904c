"""The `edgeplan` command: one module of `commands` for each of its verbs."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from controller.commands.arguments import add_diff, add_export
from controller.operator import settings


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the process's exit code."""
    parsed = _parser().parse_args(arguments)
    # Imported when it runs: `edgeplan validate` in a commit hook should not wait for boto3 and Kopf.
    run: Callable[[argparse.Namespace], int] = import_module(f"controller.commands.{parsed.command}").run
    try:
        return run(parsed)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeplan", description="Kubernetes operator for AWS SageMaker edge deployment plans."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")

    settings.add_arguments(commands.add_parser("run", help="run the operator"))

    validate = commands.add_parser(
        "validate",
        help="check manifests offline, by the same rules as the API server",
        description="Check manifests offline. Prints FILE:LINE: FIELD: PROBLEM for each; exit code 1 when there is any.",
    )
    validate.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="manifest, folder of them, or - for stdin"
    )
    add_diff(commands)
    add_export(commands)

    crd = commands.add_parser("crd", help="generate the CustomResourceDefinition from the models")
    crd.add_argument("folder", nargs="?", type=Path, help="write it there (default: print it)")
    crd.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file there is out of date")
    return parser


if __name__ == "__main__":
    sys.exit(main())
