"""The parser of the service's commands. What they need beyond the sandbox is imported when one of them runs."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from edge_manager.agent.config import add_options as add_agent_options
from edge_manager.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

STORE, SECRET = "EDGE_MANAGER_STORE", "EDGE_MANAGER_SECRET_KEY"
DEFAULT_STORE = "sqlite:///edge-manager.db"
DEFAULT_ACCOUNT = "123456789012"
TROUBLE = 2


def add_serve(serve: argparse.ArgumentParser) -> None:
    """Add the options of `serve`. Each command carries the name of its function as `run`."""
    serve.set_defaults(run="serve.serve")
    _add_store(serve)
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=4578)
    serve.add_argument("--tls-cert", metavar="FILE", help="certificate chain; with --tls-key: serve HTTPS")
    serve.add_argument("--tls-key", metavar="FILE")
    serve.add_argument(
        "--metrics-port", type=int, metavar="PORT", help="serve Prometheus' metrics there, over HTTP; default: nowhere"
    )
    serve.add_argument("--quota", type=int, default=1000, help="edge deployment plans per account and region")
    serve.add_argument("--rate", type=float, default=100.0, help="calls a second that a key may make; 0: no limit")
    serve.add_argument("--burst", type=int, help="calls of a key that may come at once; default: one second's worth")
    serve.add_argument("--max-body", type=int, default=4 * 2**20, metavar="BYTES", help="largest request")
    serve.add_argument(
        "--connected-within", type=float, default=600, metavar="SECONDS", help="after which a device counts as offline"
    )


def add_keys(keys: argparse.ArgumentParser) -> None:
    """Add the verbs of `keys`."""
    verbs = keys.add_subparsers(title="commands", required=True, metavar="COMMAND")
    create = verbs.add_parser("create", help="make a key; prints it as an SDK's credential_process does")
    create.set_defaults(run="keys.create_key")
    _add_store(create)
    create.add_argument("--role", required=True, choices=["admin", "operator", "device"])
    create.add_argument("--account", default=DEFAULT_ACCOUNT, help=f"number in all ARNs, default {DEFAULT_ACCOUNT}")
    create.add_argument("--region", help="the only region of the key; default: all, for a device AWS_REGION")
    create.add_argument("--fleet", help="of a device")
    create.add_argument("--device", action="append", default=[], help="again for more: a key, and a line, for each")
    create.add_argument("--devices-file", metavar="FILE", help="names of devices, one a line; - for standard input")
    create.add_argument(
        "--assume", action="append", default=[], metavar="ACCOUNT", help="may assume roles of this account too"
    )
    listing = verbs.add_parser("list", help="list keys, without secrets")
    listing.set_defaults(run="keys.list_keys")
    _add_store(listing)
    removal = verbs.add_parser("delete", help="delete a key: its next call is refused, and its sessions' too")
    removal.set_defaults(run="keys.delete_key")
    _add_store(removal)
    removal.add_argument("access_key")
    verbs.add_parser("secret", help="print a new encryption key").set_defaults(run="keys.print_secret")


def add_agent(agent: argparse.ArgumentParser) -> None:
    """Add the options of `agent`, which is a program of its own too."""
    agent.set_defaults(run="agent.__main__.run")
    add_agent_options(agent)


def add_fleet(fleet: argparse.ArgumentParser) -> None:
    """Add the verbs of `fleet`."""
    verbs = fleet.add_subparsers(title="commands", required=True, metavar="COMMAND")
    simulate = verbs.add_parser("simulate", help="play the agents of a fleet, over HTTP")
    simulate.set_defaults(run="simulate.command.simulate")
    names = ("AWS_ENDPOINT_URL_SAGEMAKER_EDGE", "AWS_ENDPOINT_URL_SAGEMAKER", "AWS_ENDPOINT_URL")
    url = next((os.environ[name] for name in names if os.environ.get(name)), "http://127.0.0.1:4578")
    simulate.add_argument("--endpoint-url", default=url, metavar="URL", help=f"the service, default {url}")
    simulate.add_argument("--region", help="default: AWS_REGION or the profile's")
    simulate.add_argument("--fleet", default="simulated", help="made, and its devices registered, where missing")
    simulate.add_argument("--devices", type=int, required=True, metavar="N")
    simulate.add_argument("--keys", metavar="FILE", help="keys of devices, from `keys create`; default: the caller's")
    simulate.add_argument("--interval", type=float, default=60, metavar="SECONDS", help="between polls of a device")
    simulate.add_argument("--work", type=float, default=5, metavar="SECONDS", help="that a deployment takes")
    simulate.add_argument("--fail-percent", type=float, default=0, metavar="P", help="of the deployments that fail")
    simulate.add_argument("--duration", type=float, metavar="SECONDS", help="default: until it is interrupted")
    simulate.add_argument("--report", type=float, default=5, metavar="SECONDS", help="between lines")
    simulate.add_argument("--json", metavar="FILE", help="write the figures there at the end")


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", default=os.environ.get(STORE, DEFAULT_STORE), help=f"database URL, default ${STORE}")
    parser.add_argument("--secret-key-file", metavar="FILE", help=f"file with the encryption key, default ${SECRET}")


def run(parsed: argparse.Namespace) -> int:
    """Run the command that was parsed; the process's exit code."""
    module, _, name = parsed.run.rpartition(".")
    try:
        return int(getattr(importlib.import_module(f"edge_manager.{module}"), name)(parsed))
    except ConfigurationError as error:
        sys.stderr.write(f"error: {error}\n")
    except BrokenPipeError:  # whoever read what we print has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return TROUBLE
