"""`python -m playground demo` and `python -m playground cluster`."""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the process's exit code."""
    parser = argparse.ArgumentParser(prog="playground", description="Try the operator on this machine.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    demo = commands.add_parser("demo", help="see it all work on this machine")
    demo.add_argument(
        "--devices", action="store_true", help="the second act: models on devices, by the Edge Manager and its agents"
    )
    demo.add_argument("--keep", action="store_true", help="leave everything running to play with, until Ctrl-C")
    demo.add_argument("--embedded", action="store_true", help="use an in-process Kubernetes")
    cluster = commands.add_parser("cluster", help="run a local Kubernetes API to play with")
    cluster.add_argument(
        "--controller-manager", action="store_true", help="with the controllers that finish the deletion of namespaces"
    )
    parsed = parser.parse_args(arguments)
    if parsed.command == "demo":
        from playground.demo import run  # noqa: PLC0415 - a cluster needs none of it

        return run(keep=parsed.keep, embedded=parsed.embedded, devices=parsed.devices)
    from playground.cluster import run as run_cluster  # noqa: PLC0415

    return run_cluster(controller_manager=parsed.controller_manager)


if __name__ == "__main__":
    sys.exit(main())
