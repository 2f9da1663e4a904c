"""`python -m edge_manager`: the sandbox, the service, its keys, and a device's agent."""

from __future__ import annotations

import argparse
import sys

from edge_manager import commands
from edge_manager.sandbox.server import run
from edge_manager.sandbox.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the process's exit code."""
    parser = argparse.ArgumentParser(prog="edge-manager", description="A SageMaker for edge deployments.")
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    sandbox = subcommands.add_parser("sandbox", help="run a SageMaker sandbox for boto3 and the AWS CLI")
    sandbox.add_argument("--host", default="127.0.0.1")
    sandbox.add_argument("--port", type=int, default=4577)
    sandbox.add_argument("--quota", type=int, help="edge deployment plans per account and region")
    sandbox.add_argument("--latency", type=float, help="seconds that every call takes")
    sandbox.add_argument(
        "--speed", type=float, default=1.0, help="how many times faster than the wall clock its time runs"
    )
    commands.add_serve(subcommands.add_parser("serve", help="run the service for real devices"))
    commands.add_keys(subcommands.add_parser("keys", help="make, list and delete access keys"))
    commands.add_agent(subcommands.add_parser("agent", help="run the agent of a device"))
    commands.add_fleet(subcommands.add_parser("fleet", help="simulate a fleet of devices"))
    parsed = parser.parse_args(arguments)
    if "run" in parsed:
        return commands.run(parsed)
    chosen = {key: getattr(parsed, key) for key in ("quota", "latency") if getattr(parsed, key) is not None}
    run(parsed.host, parsed.port, Settings(**chosen), speed=parsed.speed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
