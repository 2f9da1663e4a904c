"""The operator's settings: one frozen value from flags and environment."""

import argparse
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from controller.domain.spec import duration


@dataclass(frozen=True)
class Settings:
    """Everything that can be set about the operator."""

    namespaces: tuple[str, ...] = ()
    cluster_id: str | None = None
    aws_region: str | None = None
    aws_endpoint_url: str | None = None
    aws_timeout: timedelta = timedelta(seconds=30)
    accounts_file: Path | None = None
    concurrency: int = 32
    sweep_interval: timedelta = timedelta(seconds=60)
    audit_interval: timedelta = timedelta(hours=1)
    shutdown_patience: timedelta = timedelta(seconds=45)
    liveness: str | None = None
    verbose: bool = False
    json_log: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the operator's flags; each takes its default from EDGEPLAN_<FLAG> in the environment."""
    default = Settings()

    def env(name: str) -> str | None:
        return os.environ.get(f"EDGEPLAN_{name}") or None

    parser.add_argument(
        "--namespace",
        action="append",
        metavar="NAME",
        default=None,
        help="namespace to watch; may be repeated, and be a glob (default: all; EDGEPLAN_NAMESPACES, comma-separated)",
    )
    parser.add_argument(
        "--cluster-id",
        default=env("CLUSTER_ID"),
        help="identity of this cluster in ownership tags, at most 63 characters (default: uid of kube-system)",
    )
    parser.add_argument(
        "--aws-region",
        default=env("AWS_REGION") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        help="region of plans without spec.target.region (default: AWS_REGION)",
    )
    parser.add_argument(
        "--aws-endpoint-url",
        default=env("AWS_ENDPOINT_URL"),
        help="SageMaker endpoint (default: AWS_ENDPOINT_URL_SAGEMAKER, else AWS's own)",
    )
    parser.add_argument(
        "--aws-timeout",
        type=_duration,
        default=env("AWS_TIMEOUT") or default.aws_timeout,
        help="how long one AWS call may take (default: 30s)",
    )
    parser.add_argument(
        "--accounts-file",
        type=Path,
        default=env("ACCOUNTS_FILE"),
        help="YAML file of the accounts that spec.target.account may name",
    )
    parser.add_argument(
        "--concurrency",
        type=_positive,
        default=env("CONCURRENCY") or default.concurrency,
        help="objects worked on, and AWS calls per account and region, at the same time (default: 32)",
    )
    parser.add_argument(
        "--sweep-interval",
        type=_duration,
        default=env("SWEEP_INTERVAL") or default.sweep_interval,
        help="time between two looks for drift at AWS (default: 1m)",
    )
    parser.add_argument(
        "--audit-interval",
        type=_duration,
        default=env("AUDIT_INTERVAL") or default.audit_interval,
        help="time in which every plan's tags are checked once (default: 1h)",
    )
    parser.add_argument(
        "--shutdown-patience",
        type=_duration,
        default=env("SHUTDOWN_PATIENCE") or default.shutdown_patience,
        help="how long AWS calls under way may take to finish at shutdown (default: 45s)",
    )
    parser.add_argument(
        "--liveness",
        default=env("LIVENESS"),
        metavar="URL",
        help="serve the liveness probe there, such as http://0.0.0.0:8080/healthz",
    )
    parser.add_argument("--log-format", choices=("text", "json"), default=env("LOG_FORMAT") or "text")
    parser.add_argument("--verbose", action="store_true", help="log debug messages too")


def from_arguments(arguments: argparse.Namespace) -> Settings:
    """The settings from parsed flags."""
    listed = os.environ.get("EDGEPLAN_NAMESPACES", "")
    namespaces = arguments.namespace or [name.strip() for name in listed.split(",") if name.strip()]
    return Settings(
        namespaces=tuple(namespaces),
        cluster_id=arguments.cluster_id,
        aws_region=arguments.aws_region,
        aws_endpoint_url=arguments.aws_endpoint_url,
        aws_timeout=arguments.aws_timeout,
        accounts_file=arguments.accounts_file,
        concurrency=arguments.concurrency,
        sweep_interval=arguments.sweep_interval,
        audit_interval=arguments.audit_interval,
        shutdown_patience=arguments.shutdown_patience,
        liveness=arguments.liveness,
        verbose=arguments.verbose,
        json_log=arguments.log_format == "json",
    )


def _duration(text: str) -> timedelta:
    try:
        length = duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not length:
        raise argparse.ArgumentTypeError(f"duration {text!r} must be longer than nothing")
    return length


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)
