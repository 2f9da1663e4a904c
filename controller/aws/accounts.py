"""Accounts: which account and region an object's plan lives in, what it may do there, and the client that reaches it.

The default is the controller's own credentials, found as every boto3 program finds them. `spec.target.account` is a name
that the accounts file maps to a role, the regions and the namespaces that may use it. A refusal tells nothing of what is
closed to whoever asks: neither names of accounts nor whether there is one of that name.
"""

import os
import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3

from controller.aws.accounts_file import OWN_ACCOUNT, Account, Bounds, OwnAccount
from controller.aws.audience import Labels
from controller.aws.sagemaker import Called, Changed, SageMakerPlans, Waited, client_config
from controller.aws.sessions import Assumption, Role, open_session, unknown_region
from controller.aws.wire import Wire
from controller.domain.ownership import Rights
from controller.domain.resource import Scope
from controller.domain.spec import Target
from controller.engine.ports import TargetRefused

OPEN_CLIENTS = 16
IDLE = timedelta(minutes=10)


class Accounts:
    """The accounts and regions that are open, with one SageMakerPlans for each, made when first asked for."""

    def __init__(
        self,
        *,
        region: str | None,
        accounts: Mapping[str, Account],
        threads: int,
        timeout: float,
        endpoint_url: str | None = None,
        own: OwnAccount | None = None,
        extra_regions: Collection[str] = (),
        cluster: str = "",
        labels_of: Callable[[str], Labels] = lambda _namespace: {},
        may_call: Callable[[], bool] = lambda: True,
        called: Called = lambda *_: None,
        changed: Changed = lambda _: None,
        waited: Waited = lambda *_: None,
        in_loop: bool = False,
    ) -> None:
        """`in_loop`: calls are made in the event loop where they can be, for whoever makes many, and closes this."""
        self._own = own or OwnAccount()
        self._region = region or (self._own.regions[0] if self._own.regions else None)
        self._accounts = accounts
        self._threads = threads
        self._timeout = timeout
        self._endpoint_url = endpoint_url
        self._may_call = may_call
        self._extra_regions = extra_regions
        self._cluster = cluster
        self._labels_of = labels_of
        self._called = called
        self._changed = changed
        self._waited = waited
        self._in_loop = in_loop
        self._plans: dict[Scope, SageMakerPlans] = {}
        self._roles: dict[str, Role] = {}
        self._sessions: dict[Scope, boto3.Session] = {}

    @property
    def selects_namespaces(self) -> bool:
        """Whether the labels of namespaces decide what is open to them."""
        return any(bounds.selects for bounds in (self._own, *self._accounts.values()))

    @property
    def tags_sessions(self) -> bool:
        """Whether sessions of some role tell IAM the cluster and the namespace."""
        return any(account.session_tags for account in self._accounts.values())

    def plans(self, scope: Scope) -> SageMakerPlans:
        """The plans there."""
        if scope not in self._plans:
            account = self._accounts.get(scope.account)
            self._plans[scope] = SageMakerPlans(
                scope,
                lambda: self._client(scope),
                self._threads,
                make_sts=lambda: self._sts(scope),
                make_wire=lambda client: self._make_wire(scope, client),
                account_id=account.id if account else None,
                identity=not self._answers_for_both(),
                may_call=self._may_call,
                called=self._called,
                changed=self._changed,
                waited=self._waited,
            )
        self._let_go(scope)
        return self._plans[scope]

    def rates(self) -> dict[Scope, float]:
        """Calls a second that go at present, of the accounts and regions where AWS throttles."""
        return {scope: rate for scope, plans in self._plans.items() if (rate := plans.rate) is not None}

    def rights(self, namespace: str, scope: Scope) -> Rights:
        """What an object of that namespace may do there, with plans that are not its own among others."""
        return self._bounds(scope.account).rights(namespace, self._labels_of(namespace))

    def close(self) -> None:
        """Let all threads and connections go once their calls are done."""
        for plans in self._plans.values():
            plans.close()

    def scope(self, namespace: str, target: Target | None) -> Scope:
        """The account and region for an object of that namespace.

        Raises:
            TargetRefused: the configuration does not allow it.

        """
        target = target or Target()
        if target.account is None:
            return Scope(OWN_ACCOUNT, self._own_region(namespace, target.region))
        account = self._accounts.get(target.account)
        if account is None or not account.open_to(namespace, self._labels_of(namespace)):
            raise _refused(f"spec.target.account {target.account!r} is not open to namespace {namespace!r}")
        region = target.region or account.regions[0]
        if region not in account.regions:
            raise _refused(
                f"spec.target.region {region!r} is not open in account {target.account!r}; "
                f"open: {', '.join(account.regions)}"
            )
        return Scope(target.account, region)

    def _own_region(self, namespace: str, wanted: str | None) -> str:
        if not self._own.open_to(namespace, self._labels_of(namespace)):
            raise _refused(
                f"the operator's own account is not open to namespace {namespace!r}: spec.target.account must name one that is"
            )
        region = wanted or self._region
        if region is None:
            raise TargetRefused("no AWS region: set spec.target.region, or the operator's --aws-region or AWS_REGION")
        if self._own.regions is not None and region not in self._own.regions:
            raise _refused(
                f"spec.target.region {region!r} is not open in the operator's own account; "
                f"open: {', '.join(self._own.regions)}"
            )
        if unknown := unknown_region(region, self._extra_regions):
            raise _refused(f"spec.target.region {unknown}")
        return region

    def _bounds(self, account: str) -> Bounds:
        return self._own if account == OWN_ACCOUNT else self._accounts.get(account) or Bounds()

    def _let_go(self, wanted: Scope) -> None:
        """Close the clients that nobody has called for long, and those over the bound that were called the longest ago."""
        others = [plans for scope, plans in self._plans.items() if plans.opened and scope != wanted]
        others.sort(key=lambda plans: plans.last_used, reverse=True)
        now = time.monotonic()
        for place, plans in enumerate(others, start=1):
            if place >= OPEN_CLIENTS or now - plans.last_used > IDLE.total_seconds():
                plans.let_go()

    def _client(self, scope: Scope) -> Any:
        self._sessions[scope] = session = self._session(scope)
        return self._connect(session, "sagemaker", self._endpoint_url, self._threads)

    def _sts(self, scope: Scope) -> Any:
        # A service that is not AWS answers for both; an endpoint of AWS's SageMaker does not speak STS.
        endpoint_url = self._sagemaker_url() if self._answers_for_both() else None
        return self._connect(self._session(scope), "sts", endpoint_url, 1)

    def _sagemaker_url(self) -> str | None:
        named = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_SAGEMAKER", "AWS_ENDPOINT_URL"))
        return self._endpoint_url or next((url for url in named if url), None)

    def _answers_for_both(self) -> bool:
        """Whether the plans are kept by a service that is not AWS, and no other one is named for STS."""
        host = urlsplit(self._sagemaker_url() or "").hostname or ""
        elsewhere = bool(host) and not host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))
        return elsewhere and "AWS_ENDPOINT_URL_STS" not in os.environ

    def _make_wire(self, scope: Scope, client: Any) -> Wire | None:
        if not self._in_loop or not Wire.reaches(client.meta.endpoint_url):
            return None
        role, own = self._role(scope.account), self._sessions[scope].get_credentials()
        return Wire(client, role.signing if role is not None else lambda: own)

    def _session(self, scope: Scope) -> boto3.Session:
        return open_session(scope.region, self._role(scope.account))

    def _connect(self, session: boto3.Session, service: str, endpoint_url: str | None, connections: int) -> Any:
        config = client_config(connections, self._timeout)
        return session.client(service, endpoint_url=endpoint_url, config=config)

    def _role(self, name: str) -> Role | None:
        """The role of an account: one for all its regions."""
        account = self._accounts.get(name)
        if account is not None and name not in self._roles:
            assumption = Assumption(
                account.role_arn, account.regions[0], account.external_id, account.session_tags, self._cluster
            )
            return self._roles.setdefault(name, Role(assumption, client_config(1, self._timeout)))
        return self._roles.get(name)


def _refused(why: str) -> TargetRefused:
    return TargetRefused(
        f"{why} (whoever runs the operator can open it; spec.target cannot be edited, a new object can have a different one)"
    )
