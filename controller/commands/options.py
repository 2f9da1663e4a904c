"""Options that several commands share: where AWS is, where the cluster is, in which form to print."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from controller.domain.spec import duration
from controller.operator.settings import listed, valid_cluster_id

Command = TypeVar("Command", bound=Callable[..., Any])

files_argument = click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True), metavar="FILE..."
)


@dataclass(frozen=True)
class AwsFlags:
    """Where AWS is, and what of it is open."""

    region: str | None
    endpoint_url: str | None
    regions: tuple[str, ...]
    extra_regions: tuple[str, ...]
    own_account_file: Path | None
    accounts_file: Path | None


@dataclass(frozen=True)
class ClusterFlags:
    """Which cluster, and which namespace of it."""

    namespace: str | None
    context: str | None


class Parsed(click.ParamType[Any]):
    """A value that a function reads from its text, or refuses with a ValueError."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; one that is refused is a wrong use of the command."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


LENGTH = Parsed("length", duration)


def aws_options(command: Command) -> Command:
    """Add the flags that say where AWS is; the command gets them as `aws`."""
    options = (
        click.option("--aws-region", help="Region of plans that name none (default: as for the AWS CLI)."),
        click.option(
            "--aws-endpoint-url", help="SageMaker endpoint (default: AWS_ENDPOINT_URL_SAGEMAKER, else AWS's own)."
        ),
        click.option(
            "--aws-regions",
            type=Parsed("list", listed),
            default="",
            show_default=False,
            help="Regions, comma-separated, that are open in the operator's own account (default: all).",
        ),
        click.option(
            "--aws-extra-regions",
            type=Parsed("list", listed),
            default="",
            show_default=False,
            help="Regions, comma-separated, that count as known beside those of the AWS SDK.",
        ),
        click.option(
            "--own-account-file",
            type=click.Path(path_type=Path),
            help="The operator's --own-account-file (default: no bounds).",
        ),
        click.option(
            "--accounts-file",
            type=click.Path(path_type=Path),
            help="YAML file of the accounts that spec.target.account may name.",
        ),
    )

    @functools.wraps(command)
    def with_flags(
        *,
        aws_region: str | None,
        aws_endpoint_url: str | None,
        aws_regions: tuple[str, ...],
        aws_extra_regions: tuple[str, ...],
        own_account_file: Path | None,
        accounts_file: Path | None,
        **more: Any,
    ) -> Any:
        flags = AwsFlags(aws_region, aws_endpoint_url, aws_regions, aws_extra_regions, own_account_file, accounts_file)
        return command(aws=flags, **more)

    return _decorated(with_flags, options)  # type: ignore[return-value]


def cluster_options(command: Command) -> Command:
    """Add `-n` and `--context`; the command gets them as `cluster`."""
    options = (
        click.option("-n", "--namespace", help="Namespace (default: that of the context)."),
        click.option("--context", help="Context of the kubeconfig (default: the current one)."),
    )

    @functools.wraps(command)
    def with_flags(*, namespace: str | None, context: str | None, **more: Any) -> Any:
        return command(cluster=ClusterFlags(namespace, context), **more)

    return _decorated(with_flags, options)  # type: ignore[return-value]


def output_option(*forms: str) -> Callable[[Command], Command]:
    """Add `-o`; the command gets it as `output`."""
    return click.option("-o", "--output", type=click.Choice(forms), help="Print for machines, in this form.")


cluster_id_option = click.option(
    "--cluster-id",
    type=Parsed("id", valid_cluster_id),
    default=lambda: os.environ.get("EDGEPLAN_CLUSTER_ID") or None,
    show_default=False,
    help="The operator's --cluster-id (default: uid of kube-system of the cluster in KUBECONFIG).",
)


def _decorated(function: Callable[..., Any], options: tuple[Callable[[Any], Any], ...]) -> Callable[..., Any]:
    for option in reversed(options):
        function = option(function)
    return function
