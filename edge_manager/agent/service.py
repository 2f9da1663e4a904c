"""The three calls of a device, and the access to S3. What comes in is parsed here; errors become what comes next."""

from __future__ import annotations

from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Callable

import boto3
from botocore.config import Config as Settings
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from edge_manager.agent import VERSION
from edge_manager.agent.errors import ConfigError, LaterError, RefusedError
from edge_manager.agent.trouble import clock, describe
from edge_manager.agent.values import SHORTEST_NAME, Model, Offer, clean, is_name, is_sha1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_manager.agent.config import Config, Endpoint
    from edge_manager.agent.values import Installed, Result

AGENT_VERSION = f"edge-manager-agent {VERSION}".replace("-", "_")  # AWS's pattern has no hyphen
# The loop decides what is tried again and when. Checksums of S3's own are not asked for: ours is the SHA-1.
SETTINGS = {"connect_timeout": 10, "read_timeout": 30, "retries": {"total_max_attempts": 1}}
SETTINGS_S3 = {**SETTINGS, "response_checksum_validation": "when_required"}


class Service:
    """The service as this device sees it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._who = {"DeviceName": config.device, "DeviceFleetName": config.fleet}
        self._session = boto3.session.Session()
        self._edge: Any = None
        self._s3: Any = None

    @property
    def s3(self) -> Any:
        """A client of S3."""
        if self._s3 is None:
            self._s3 = self._client("s3", self._config.s3, SETTINGS_S3)
        return self._s3

    @property
    def edge(self) -> Any:
        """A client of the service."""
        if self._edge is None:
            self._edge = self._client("sagemaker-edge", self._config.service, SETTINGS)
        return self._edge

    def forget(self) -> None:
        """Read the keys again for the next call: they may have been replaced."""
        for client in (self._s3, self._edge):
            if client is not None:
                client.close()
        self._s3 = self._edge = None

    def is_registered(self) -> bool:
        """Ask whether the service knows this device."""
        answer = _call(lambda: self.edge.get_device_registration(**self._who))
        return bool(answer.get("DeviceRegistration") == "REGISTERED")

    def offer(self) -> Offer | None:
        """Ask what this device has to run. The API has room for several deployments, the service answers at most one."""
        answer = _call(lambda: self.edge.get_deployments(**self._who))
        deployments = answer.get("Deployments") or []
        return parse(deployments[0]) if deployments else None

    def beat(self, models: Sequence[Installed], result: Result | None = None) -> None:
        """Tell that the device lives, what it runs, and how its deployment ended."""
        running = [{"ModelName": model.name, "ModelVersion": model.version} for model in models if fits(model)]
        more = {} if result is None else {"DeploymentResult": told(result)}
        _call(lambda: self.edge.send_heartbeat(AgentVersion=AGENT_VERSION, Models=running, **self._who, **more))

    def _client(self, service: str, endpoint: Endpoint, settings: dict[str, Any]) -> Any:
        try:
            key = endpoint.key()
        except ConfigError as error:  # it was there at the start
            raise RefusedError(str(error)) from None
        verify = None if endpoint.ca_file is None else str(endpoint.ca_file)
        names = {"region_name": endpoint.region, "endpoint_url": endpoint.url, "verify": verify}
        try:
            return self._session.client(service, config=Settings(**settings), **names, **key)
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint from the environment
            raise LaterError(f"boto3: {error}") from None


def parse(found: dict[str, Any]) -> Offer | None:
    """A deployment that was answered; None if there is not even a name to answer to."""
    name = found.get("DeploymentName")
    if not isinstance(name, str) or not is_name(name):
        return None
    definitions = found.get("Definitions") or []
    models: list[Model] = []
    removed: list[str] = []
    fault = None
    for each in definitions:
        handle, checksum = each.get("ModelHandle") or "", each.get("Checksum") or {}
        if each.get("State") == "UNDEPLOY":
            removed.append(handle)
            continue
        model = Model(handle, each.get("S3Url") or "", str(checksum.get("Sum", "")).lower())
        if not is_name(handle) or handle in {one.handle for one in models}:
            fault = fault or f"The model handle {handle!r} cannot be used."
        elif not model.url.isprintable():
            fault = fault or f"The address of the model {handle} cannot be used: {model.url!r}"
        elif checksum.get("Type") != "SHA1" or not is_sha1(model.sha1):
            fault = fault or f"The model {handle} has no SHA-1 to verify it by."
        else:
            models.append(model)
    if not definitions:
        fault = "The deployment names no model."
    rolls_back = found.get("FailureHandlingPolicy") != "DO_NOTHING"
    return Offer(name, tuple(models), tuple(removed), rolls_back, fault)


def told(result: Result) -> dict[str, Any]:
    """A result as the API has it."""
    models = [_told_model(result, model) for model in result.offer.models]
    answer = {
        "DeploymentName": result.offer.deployment,
        "DeploymentStatus": result.status,
        "DeploymentStatusMessage": result.message,
        "DeploymentStartTime": datetime.fromtimestamp(result.started, timezone.utc),
        "DeploymentEndTime": datetime.fromtimestamp(result.ended, timezone.utc),
        "DeploymentModels": models + [_told_removed(result, handle) for handle in result.offer.removed],
    }
    return {name: value for name, value in answer.items() if value is not None}


def fits(model: Installed) -> bool:
    """Whether a model's name is one that the API can carry."""
    return len(model.name) >= SHORTEST_NAME


def _told_model(result: Result, model: Model) -> dict[str, Any]:
    known, failure = model.installed, result.failure
    answer = {
        "ModelHandle": model.handle,
        "ModelName": known.name if fits(known) else None,
        "ModelVersion": known.version if fits(known) else None,
        "DesiredState": "DEPLOY",
        "State": "DEPLOY" if result.is_running else "UNDEPLOY",
        "Status": result.status,
        "StatusReason": clean(failure.reason)
        if failure is not None and failure.handle in {None, model.handle}
        else None,
        "RollbackFailureReason": clean(result.rollback_failure) if result.rollback_failure is not None else None,
    }
    return {name: value for name, value in answer.items() if value is not None}


def _told_removed(result: Result, handle: str) -> dict[str, Any]:
    state = "UNDEPLOY" if result.is_running else "DEPLOY"
    return {"ModelHandle": handle, "DesiredState": "UNDEPLOY", "State": state, "Status": result.status}


def _call(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        answer = call()
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", HTTPStatus.INTERNAL_SERVER_ERROR)
        code = error.response.get("Error", {}).get("Code", "")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS or "Throttl" in code:
            raise LaterError(f"The service cannot answer now: {describe(error)}") from None
        raise RefusedError(f"The service refuses this device: {describe(error)} {clock(error.response)}") from None
    except (BotoCoreError, ResponseParserError) as error:
        raise LaterError(f"The service does not answer: {error}") from None
    if not answer.get("ResponseMetadata", {}).get("RequestId"):  # a captive portal says yes to everything
        raise LaterError("What answers is not the service, but something in between.")
    return answer
