"""botocore sessions: the operator's own credentials or an assumed role's, with AWS's service models read only once.

A role may be assumed once for each namespace, with tags by which IAM and CloudTrail know whose call it is. There is still
one client for each account and region: each call is signed by the session of the namespace that it is for.
"""

import functools
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.metadata import version
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
from controller.aws.tenancy import acting_namespace
from controller.engine.ports import AwsError

ROLE_SESSION = "edgeplan"
CLUSTER_TAG, NAMESPACE_TAG = "edgeplan.dev/cluster", "edgeplan.dev/namespace"
_LONGEST_SESSION_NAME = 64
_TENANTS = 1_000  # sessions that are kept, a few kilobytes each; who comes back later costs a call of STS


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


def unknown_region(region: str, extra: Collection[str] = ()) -> str | None:
    """What is wrong with a region that neither the SDK knows nor the administrator has added; None if it is known."""
    regions = known_regions() | set(extra)
    if region in regions:
        return None
    meant = get_close_matches(region, sorted(regions), n=1, cutoff=0.75)
    hint = f"did you mean {meant[0]}?" if meant else "such as eu-west-1"
    return f"{region}: not a region that the AWS SDK knows, {hint}"


@dataclass(frozen=True)
class Assumption:
    """How a role is assumed."""

    role_arn: str
    region: str
    """Region whose STS is asked."""
    external_id: str | None = None
    tagged: bool = False
    """Whether each namespace has a session of its own, with tags."""
    cluster: str = ""
    """Identity of this cluster, for the tags."""

    def arguments(self, namespace: str | None) -> dict[str, Any]:
        """Arguments of AssumeRole beside the role."""
        external = {"ExternalId": self.external_id} if self.external_id else {}
        if not self.tagged:
            return {"RoleSessionName": ROLE_SESSION, **external}
        name = f"{ROLE_SESSION}@{namespace}" if namespace else ROLE_SESSION
        tags = {CLUSTER_TAG: self.cluster} | ({NAMESPACE_TAG: namespace} if namespace else {})
        return {
            "RoleSessionName": name[:_LONGEST_SESSION_NAME],
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items() if value],
            **external,
        }


class Role:
    """The credentials of a role, for all clients of its account: assumed when first needed, and again before they expire."""

    def __init__(self, assumption: Assumption, config: Config) -> None:
        self._assumption = assumption
        # The operator's own identity: the role's session cannot assume itself. It makes no two clients at a time.
        self._source = botocore.session.get_session()
        self._source.register_component("data_loader", _loader())
        self._source.register("before-parse.sts", refuse_rubbish_of_sts)
        self._one_at_a_time = threading.Lock()
        self._config = config
        self.credentials = functools.lru_cache(_TENANTS)(self._credentials)

    def sign(self, request: Any, **_: Any) -> None:
        """Have botocore sign a request with the session of the namespace that it is for."""
        if self._acting() is not None:
            signing = request.context.get("signing", {})
            request.context["signing"] = {**signing, "request_credentials": self.signing()}

    def signing(self) -> DeferredRefreshableCredentials:
        """The credentials that sign what is called now."""
        return self.credentials(self._acting())

    def _acting(self) -> str | None:
        """The namespace that has a session of its own for what is called now, if one has."""
        return acting_namespace() if self._assumption.tagged else None

    def _credentials(self, namespace: str | None) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(functools.partial(self._assume, namespace), _Assumed.METHOD)

    def _assume(self, namespace: str | None) -> dict[str, Any]:
        try:
            own = self._source.get_credentials()
            if own is None:
                raise NoCredentialsError  # noqa: TRY301 - one door for all that can go wrong here
            arguments = self._assumption.arguments(namespace)
            fetcher = AssumeRoleCredentialFetcher(self._client, own, self._assumption.role_arn, arguments)
            return dict(fetcher.fetch_credentials())
        except Exception as error:
            failure = failure_of("AssumeRole", error)
            # Whatever became of this call, the one that needs the credentials was not made.
            raise AwsError(replace(failure, harmless=True)) from error

    def _client(self, service: str, **credentials: Any) -> Any:
        with self._one_at_a_time:
            return self._source.create_client(
                service, region_name=self._assumption.region, config=self._config, **credentials
            )


def open_session(region: str, role: Role | None) -> boto3.Session:
    """A session; boto3's are not thread-safe, so each client has its own."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _loader())
    session.register("before-parse.sts", refuse_rubbish_of_sts)
    if role is not None:
        session.register_component("credential_provider", CredentialResolver([_Assumed(role)]))
        session.register("before-sign", role.sign)
    opened = boto3.Session(region_name=region, botocore_session=session)
    agent, session.user_agent_extra = _user_agent(session), ""  # which botocore would say once more
    session.set_default_client_config(Config(user_agent=agent))
    return opened


def _user_agent(session: botocore.session.Session) -> str:
    """Made once. botocore makes a longer one twice for each call, which takes a twentieth of what a deletion costs."""
    app = session.get_config_variable("user_agent_appid")
    return f"edgeplan/{version('edgeplan')} {session.user_agent()}" + (f" app/{app}" if app else "")


class _Assumed(CredentialProvider):  # type: ignore[misc]
    """Credentials of the role, and no others."""

    METHOD = "assume-role"

    def __init__(self, role: Role) -> None:
        super().__init__()
        self._role = role

    def load(self) -> DeferredRefreshableCredentials:
        return self._role.credentials(None)
