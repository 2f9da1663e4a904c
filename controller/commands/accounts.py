"""The accounts and regions that are open, from the flags that `diff` and `export` share with the operator."""

import argparse
import os

import boto3

from controller.aws.accounts import Accounts
from controller.aws.accounts_file import read_accounts, read_own_account

_THREADS = 8
_TIMEOUT = 30.0


def accounts_of(parsed: argparse.Namespace) -> Accounts:
    """The accounts and regions that the flags open.

    Raises:
        ValueError: the accounts file is not of the form.

    """
    region = parsed.aws_region or os.environ.get("AWS_REGION") or boto3.Session().region_name
    # Whoever may call AWS from here is not bound to what the operator's own account has open, unless they say so.
    bounded = parsed.own_account_file is not None or bool(parsed.aws_regions)
    own = read_own_account(
        parsed.own_account_file, regions=parsed.aws_regions or (), region=parsed.aws_region if bounded else None
    )
    return Accounts(
        region=region,
        accounts=read_accounts(parsed.accounts_file),
        threads=_THREADS,
        timeout=_TIMEOUT,
        endpoint_url=parsed.aws_endpoint_url,
        own=own,
    )
