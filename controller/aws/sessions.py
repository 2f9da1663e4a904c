"""botocore sessions: the operator's own credentials or an assumed role's, with AWS's service models read only once."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader

from controller.aws.answers import refuse_rubbish_of_sts
from controller.aws.errors import failure_of
from controller.engine.ports import AwsError

ROLE_SESSION = "edgeplan"


@functools.cache
def _loader() -> Loader:
    """One for all sessions: a service model of its own would cost each client 17 MB and a quarter of a second."""
    return botocore.session.get_session().get_component("data_loader")


@functools.cache
def known_regions() -> frozenset[str]:
    """All regions of all partitions that the SDK knows."""
    partitions = _loader().load_data("partitions")["partitions"]
    return frozenset(
        region for partition in partitions for region in partition["regions"] if not region.endswith("-global")
    )


def open_session(region: str, role_arn: str | None, config: Config) -> boto3.Session:
    """A session; boto3's are not thread-safe, so each client has its own. `config` is that of the calls to STS."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _loader())
    session.register("before-parse.sts", refuse_rubbish_of_sts)
    if role_arn is not None:
        refresh = _assume(region, role_arn, config)
        session.register_component("credential_provider", CredentialResolver([_Role(refresh)]))
    return boto3.Session(region_name=region, botocore_session=session)


class _Role(CredentialProvider):  # type: ignore[misc]
    """Credentials of the role, and no others."""

    METHOD = "assume-role"

    def __init__(self, refresh: Callable[[], dict[str, Any]]) -> None:
        super().__init__()
        self._refresh = refresh

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(self._refresh, self.METHOD)


def _assume(region: str, role_arn: str, config: Config) -> Callable[[], dict[str, Any]]:
    source = botocore.session.get_session()  # the operator's own identity: the role's session cannot assume itself
    source.register_component("data_loader", _loader())
    source.register("before-parse.sts", refuse_rubbish_of_sts)
    creator = functools.partial(source.create_client, region_name=region, config=config)

    def refresh() -> dict[str, Any]:
        try:
            own = source.get_credentials()
            if own is None:
                raise NoCredentialsError  # noqa: TRY301 - one door for all that can go wrong here
            fetcher = AssumeRoleCredentialFetcher(creator, own, role_arn, {"RoleSessionName": ROLE_SESSION})
            return dict(fetcher.fetch_credentials())
        except Exception as error:
            failure = failure_of("AssumeRole", error)
            # Whatever became of this call, the one that needs the credentials was not made.
            raise AwsError(replace(failure, harmless=True)) from error

    return refresh
