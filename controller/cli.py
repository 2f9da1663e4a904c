"""The `edgeplan` command."""

import argparse
import logging
import sys
from pathlib import Path

from controller import settings
from controller.commands.arguments import add_diff_and_export


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the process's exit code."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeplan", description="Kubernetes operator for AWS SageMaker edge deployment plans."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the operator")
    settings.add_arguments(run)
    run.set_defaults(run=_run)

    validate = commands.add_parser(
        "validate", help="check manifests offline, by the same rules as the API server", description=_validate.__doc__
    )
    validate.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="manifest, folder of them, or - for stdin"
    )
    validate.set_defaults(run=_validate)

    add_diff_and_export(commands)

    crd = commands.add_parser("crd", help="generate the CustomResourceDefinition from the models")
    crd.add_argument("folder", nargs="?", type=Path, help="write it there (default: print it)")
    crd.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file there is out of date")
    crd.set_defaults(run=_crd)

    sandbox = commands.add_parser("sandbox", help="run a SageMaker sandbox for boto3 and the AWS CLI")
    sandbox.add_argument("--host", default="127.0.0.1")
    sandbox.add_argument("--port", type=int, default=4577)
    sandbox.add_argument("--quota", type=int, help="edge deployment plans per account and region")
    sandbox.add_argument("--latency", type=float, help="seconds that every call takes")
    sandbox.add_argument(
        "--speed", type=float, default=1.0, help="how many times faster than the wall clock its time runs"
    )
    sandbox.set_defaults(run=_sandbox)

    cluster = commands.add_parser("cluster", help="run a local Kubernetes API to play with")
    cluster.add_argument(
        "--controller-manager", action="store_true", help="with the controllers that finish the deletion of namespaces"
    )
    cluster.set_defaults(run=_cluster)

    demo = commands.add_parser("demo", help="see it all work on this machine")
    demo.add_argument("--keep", action="store_true", help="leave everything running to play with, until Ctrl-C")
    demo.add_argument("--embedded", action="store_true", help="use an in-process Kubernetes")
    demo.set_defaults(run=_demo)
    return parser


# Each command imports what it needs itself: `edgeplan validate` in a commit hook should not wait for boto3 and Kopf.


def _run(parsed: argparse.Namespace) -> int:
    """Run the operator until SIGTERM or SIGINT."""
    import kopf  # noqa: PLC0415

    from controller.handlers import register  # noqa: PLC0415
    from controller.operator import Operator  # noqa: PLC0415

    chosen = settings.from_arguments(parsed)
    kopf.configure(verbose=chosen.verbose, log_format=kopf.LogFormat.JSON if chosen.json_log else kopf.LogFormat.FULL)
    if not chosen.verbose:  # a line per watch event, per probe, and where credentials come from with each client
        quiet = (
            "kopf.objects",
            "kopf.activities.probe",
            "aiohttp.access",
            "botocore.credentials",
            "botocore.configprovider",
        )
        for chatter in quiet:
            logging.getLogger(chatter).setLevel(logging.WARNING)
    while True:
        operator, registry = Operator(chosen), kopf.OperatorRegistry()
        register(registry, operator)
        kopf.run(
            registry=registry,
            namespaces=chosen.namespaces,
            clusterwide=not chosen.namespaces,
            standalone=True,
            liveness_endpoint=chosen.liveness,
            stop_flag=operator.deaf,
        )
        if not operator.deaf.is_set():
            return 0


def _validate(parsed: argparse.Namespace) -> int:
    """Check manifests offline. Prints FILE:LINE: FIELD: PROBLEM for each; exit code 1 when there is any."""
    from controller.manifests import check  # noqa: PLC0415

    problems, checked = check(parsed.files)
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stderr.write(f"{checked} checked, {len(problems)} {'problem' if len(problems) == 1 else 'problems'}\n")
    return 1 if problems else 0


def _crd(parsed: argparse.Namespace) -> int:
    """Print the CustomResourceDefinition, write it into a folder, or check the one there."""
    from controller import crd  # noqa: PLC0415

    if parsed.folder is None:
        sys.stdout.write(crd.render())
        return 0
    if not parsed.check:
        sys.stdout.write(f"{crd.write(parsed.folder)}\n")
        return 0
    path: Path = parsed.folder / crd.FILE_NAME
    if path.exists() and path.read_text(encoding="utf-8") == crd.render():
        return 0
    sys.stderr.write(f"{path} is out of date; run: edgeplan crd {parsed.folder}\n")
    return 1


def _sandbox(parsed: argparse.Namespace) -> int:
    """Run the SageMaker sandbox until SIGTERM or SIGINT."""
    from controller.sandbox.server import run  # noqa: PLC0415
    from controller.sandbox.settings import Settings  # noqa: PLC0415

    chosen = {key: getattr(parsed, key) for key in ("quota", "latency") if getattr(parsed, key) is not None}
    run(parsed.host, parsed.port, Settings(**chosen), speed=parsed.speed)
    return 0


def _cluster(parsed: argparse.Namespace) -> int:
    """Run a local Kubernetes API until Ctrl-C."""
    from controller.sandbox.cluster import run  # noqa: PLC0415

    return run(controller_manager=parsed.controller_manager)


def _demo(parsed: argparse.Namespace) -> int:
    """Bring up Kubernetes, the sandbox and the operator, and show a plan's life."""
    from controller.sandbox.demo import run  # noqa: PLC0415

    return run(keep=parsed.keep, embedded=parsed.embedded)


if __name__ == "__main__":
    sys.exit(main())
