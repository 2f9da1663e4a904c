"""Accounts: which account and region an object's plan lives in, and the client that reaches it.

The default is the controller's own credentials, found as every boto3 program finds them. `spec.target.account` is a name
that the accounts file maps to a role, the regions and the namespaces that may use it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import yaml
from botocore.credentials import DeferredRefreshableCredentials
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from controller.aws.sagemaker import SageMakerPlans, client_config
from controller.domain.base import Model
from controller.domain.ownership import Rights
from controller.domain.resource import Scope
from controller.domain.spec import Target
from controller.engine.ports import TargetRefused

OWN_ACCOUNT = "default"


class Account(Model):
    """One entry of the accounts file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role_arn: str = Field(alias="roleArn", pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")
    """Role to assume."""
    regions: tuple[str, ...] = Field(min_length=1)
    """Regions that plans may live in; the first is the default."""
    namespaces: tuple[str, ...] = ("*",)
    """Namespaces whose objects may use the account; "*" allows all."""


def read_accounts(path: Path | None) -> Mapping[str, Account]:
    """The accounts file, by name of the account; none without a file.

    Raises:
        ValueError: the file is not of the form; the message names the file, the field and what is wrong.

    """
    if path is None:
        return {}
    try:
        return TypeAdapter(dict[str, Account]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (ValidationError, yaml.YAMLError, OSError) as error:
        raise ValueError(f"accounts file {path}: {error}") from error


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
    ) -> None:
        self._region = region
        self._accounts = accounts
        self._threads = threads
        self._timeout = timeout
        self._endpoint_url = endpoint_url
        self._plans: dict[Scope, SageMakerPlans] = {}

    def plans(self, scope: Scope) -> SageMakerPlans:
        """The plans there."""
        if scope not in self._plans:
            self._plans[scope] = SageMakerPlans(scope, lambda: self._client(scope), self._threads)
        return self._plans[scope]

    def rights(self, namespace: str, scope: Scope) -> Rights:  # noqa: ARG002 - the same for all, so far
        """Which plans that are not its own an object of that namespace may observe and adopt there."""
        return Rights()

    def close(self) -> None:
        """Let all threads go once their calls are done."""
        for plans in self._plans.values():
            plans.close()

    def scope(self, namespace: str, target: Target | None) -> Scope:
        """The account and region for an object of that namespace.

        Raises:
            TargetRefused: the configuration does not allow it.

        """
        target = target or Target()
        if target.account is None:
            region = target.region or self._region
            if region is None:
                raise TargetRefused(
                    "no AWS region: set spec.target.region, or the operator's --aws-region or AWS_REGION"
                )
            return Scope(OWN_ACCOUNT, region)
        account = self._accounts.get(target.account)
        if account is None:
            known = ", ".join(sorted(self._accounts)) or "none"
            raise TargetRefused(f"spec.target.account {target.account!r} is not configured; configured: {known}")
        if "*" not in account.namespaces and namespace not in account.namespaces:
            raise TargetRefused(f"spec.target.account {target.account!r} is not open to namespace {namespace!r}")
        region = target.region or account.regions[0]
        if region not in account.regions:
            raise TargetRefused(
                f"spec.target.region {region!r} is not open in account {target.account!r}; "
                f"open: {', '.join(account.regions)}"
            )
        return Scope(target.account, region)

    def _client(self, scope: Scope) -> Any:
        """A client; boto3 sessions are not thread-safe, so each client has its own."""
        session = boto3.Session(region_name=scope.region, botocore_session=self._session(scope))
        return session.client(
            "sagemaker", endpoint_url=self._endpoint_url, config=client_config(self._threads, self._timeout)
        )

    def _session(self, scope: Scope) -> botocore.session.Session:
        session = botocore.session.get_session()
        account = self._accounts.get(scope.account)
        if account is not None:
            sts = boto3.Session(region_name=scope.region).client("sts", config=client_config(1, self._timeout))

            def refresh() -> dict[str, str]:
                answer = sts.assume_role(RoleArn=account.role_arn, RoleSessionName="edgeplan")["Credentials"]
                expiry: datetime = answer["Expiration"]
                return {
                    "access_key": answer["AccessKeyId"],
                    "secret_key": answer["SecretAccessKey"],
                    "token": answer["SessionToken"],
                    "expiry_time": expiry.astimezone(UTC).isoformat(),
                }

            session._credentials = DeferredRefreshableCredentials(refresh, "assume-role")  # noqa: SLF001 - boto3 has no public way to hand refreshable credentials to a session
        return session
