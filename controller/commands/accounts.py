"""The accounts and regions that are open, from the flags that `diff` and `export` share with the operator."""

import argparse
import os

import boto3

from controller.aws.accounts import Accounts
from controller.aws.accounts_file import read_accounts

_THREADS = 8
_TIMEOUT = 30.0


def accounts_of(parsed: argparse.Namespace) -> Accounts:
    """The accounts and regions that the flags open.

    Raises:
        ValueError: the accounts file is not of the form.

    """
    return Accounts(
        region=parsed.aws_region or os.environ.get("AWS_REGION") or boto3.Session().region_name,
        accounts=read_accounts(parsed.accounts_file),
        threads=_THREADS,
        timeout=_TIMEOUT,
        endpoint_url=parsed.aws_endpoint_url,
    )
