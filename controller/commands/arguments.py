"""The subparsers of `edgeplan diff` and `edgeplan export`."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from controller.operator.settings import listed, valid_cluster_id

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_diff(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subparser of `edgeplan diff`."""
    diff = commands.add_parser(
        "diff",
        help="show what the controller would do to AWS for manifests",
        description="Show what the controller would do to AWS for each manifest, in the order it would do it. Writes "
        "nothing. Exit code 0: no difference, 1: a difference or a refusal, 2: an error.",
    )
    diff.add_argument("files", nargs="+", type=Path, metavar="FILE", help="manifest, folder of them, or - for stdin")
    diff.add_argument("--namespace", default="default", help="namespace of manifests without one (default: default)")
    diff.add_argument(
        "--cluster-id",
        type=_cluster_id,
        default=os.environ.get("EDGEPLAN_CLUSTER_ID") or None,
        help="the operator's --cluster-id (default: uid of kube-system of the cluster in KUBECONFIG)",
    )
    _add_flags(diff)


def add_export(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subparser of `edgeplan export`."""
    export = commands.add_parser(
        "export",
        help="write the manifest of a plan that exists in AWS",
        description="Write the manifests of plans that exist in AWS, ready to be adopted without a change to them. "
        "Exit code 0: all written, 1: a plan is not there or cannot be adopted as it is, 2: an error.",
    )
    which = export.add_mutually_exclusive_group(required=True)
    which.add_argument("names", nargs="*", default=[], metavar="NAME", help="name of a plan in AWS")
    which.add_argument("--all", action="store_true", help="all plans of the account and region")
    export.add_argument("--namespace", help="metadata.namespace of the manifests (default: none)")
    export.add_argument("--account", help="account of the accounts file to look in; becomes spec.target.account")
    _add_flags(export)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--aws-region", help="region of plans that name none (default: as for the AWS CLI)")
    parser.add_argument(
        "--aws-endpoint-url", help="SageMaker endpoint (default: AWS_ENDPOINT_URL_SAGEMAKER, else AWS's own)"
    )
    parser.add_argument(
        "--aws-regions",
        type=listed,
        help="regions, comma-separated, that are open in the operator's own account (default: all)",
    )
    parser.add_argument("--own-account-file", type=Path, help="the operator's --own-account-file (default: no bounds)")
    parser.add_argument(
        "--accounts-file", type=Path, help="YAML file of the accounts that spec.target.account may name"
    )


def _cluster_id(text: str) -> str:
    try:
        return valid_cluster_id(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
