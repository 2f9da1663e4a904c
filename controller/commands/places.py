"""Where plans live at AWS, from the flags that `diff` and `export` share with the operator."""

import argparse
import os

import boto3

from controller.aws.accounts import Sites, read_accounts

_THREADS = 8
_TIMEOUT = 30.0


def sites(parsed: argparse.Namespace) -> Sites:
    """The accounts and regions that the flags open.

    Raises:
        ValueError: the accounts file is not of the form.

    """
    return Sites(
        region=parsed.aws_region or os.environ.get("AWS_REGION") or boto3.Session().region_name,
        accounts=read_accounts(parsed.accounts_file),
        threads=_THREADS,
        timeout=_TIMEOUT,
        endpoint_url=parsed.aws_endpoint_url,
    )
