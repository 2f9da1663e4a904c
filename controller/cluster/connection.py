"""The way to the Kubernetes API: configuration, client, plain reads, and the one place that translates errors.

ObjectError
├── ObjectGone     404
├── ObjectChanged  409
└── Unreachable    nobody listens, or nobody answers in time
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException
from pydantic_core import from_json

from controller.engine.ports import ObjectChanged, ObjectError, ObjectGone

_NOT_FOUND, _CONFLICT, _TOO_MANY, _SERVER_ERROR = 404, 409, 429, 500
_OK, _REDIRECT = 200, 300
_JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"
_METADATA_ONLY = "application/json;as={};g=meta.k8s.io;v=v1"
_PAGE = 500
_LONGEST_TEXT = 200  # of an answer that is not the API server's own: a proxy's error page can be long


class Unreachable(ObjectError):  # noqa: N818 - a state, not a fault
    """Nobody listens at the API server's address, or nobody answers in time."""


def status_of(error: ObjectError) -> int | None:
    """The HTTP status of the answer that became this error, if there was an answer."""
    cause = error.__cause__
    return cause.status if isinstance(cause, ApiException) else None


def may_pass(error: ObjectError) -> bool:
    """Whether the trouble may pass by itself: no answer, or a server that is overloaded or broken."""
    cause = error.__cause__
    if isinstance(cause, ApiException):
        return bool(cause.status == _TOO_MANY or cause.status >= _SERVER_ERROR)
    return isinstance(cause, aiohttp.ClientError | OSError) and not isinstance(cause, aiohttp.ClientSSLError)


@asynccontextmanager
async def translated(what: str, patience: float | None = None) -> AsyncIterator[None]:
    """Turn whatever a call can raise into an ObjectError that says what failed; a call over `patience` seconds too.

    The client's asyncio half lets aiohttp's errors through, and not all of them are OSErrors.
    """
    try:
        async with asyncio.timeout(patience):
            yield
    except ApiException as error:
        text = f"{what}: {error.status} {error.reason}: {_words(error.body)}"
        kind = {_NOT_FOUND: ObjectGone, _CONFLICT: ObjectChanged}.get(error.status, ObjectError)
        raise kind(text) from error
    except aiohttp.ClientSSLError as error:  # somebody listens, but not whom the configuration names
        raise ObjectError(_unreachable(what, error)) from error
    except (aiohttp.ClientConnectorError, TimeoutError) as error:
        raise Unreachable(_unreachable(what, error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise ObjectError(_unreachable(what, error)) from error
    except ValueError as error:  # something in between answered with a page of its own, or half an answer came
        raise ObjectError(f"{what}: no answer of the Kubernetes API: {error}") from error


def _words(body: Any) -> str:
    """What the API server says, or the beginning of what something in between says."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, TypeError, KeyError):
        return " ".join(str(body or "").split())[:_LONGEST_TEXT]


def _unreachable(what: str, error: Exception) -> str:
    return f"{what}: the Kubernetes API cannot be reached: {str(error) or 'no answer'}"


async def configuration(context: str | None = None) -> client.Configuration:
    """How to reach the cluster: by the pod's service account, or else by KUBECONFIG; by it alone if a context is named.

    Raises:
        ObjectError: neither is there, or it cannot be read.

    """
    settings = client.Configuration()
    if context is None and _in_a_pod(settings):
        return settings
    try:
        # Named here: the library reads KUBECONFIG once, when it is imported.
        await config.load_kube_config(os.environ.get("KUBECONFIG"), context, client_configuration=settings)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        place = "" if context else "not in a pod, and "
        raise ObjectError(f"no way to reach a cluster: {place}{error}") from error
    except (yaml.YAMLError, OSError, ValueError, TypeError, AttributeError) as error:
        text = " ".join(str(error).split())
        raise ObjectError(f"no way to reach a cluster: the kubeconfig cannot be read: {text}") from error
    return settings


def _in_a_pod(settings: client.Configuration) -> bool:
    try:
        config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        return False
    return True


def connect(settings: client.Configuration, connections: int) -> client.ApiClient:
    """A client with that many connections at the most.

    Raises:
        ObjectError: the certificates that the configuration names cannot be read.

    """
    settings.connection_pool_maxsize = connections
    # No proxy and no netrc from the environment, as in Kopf's watch: they cost two threads a call, and are for AWS.
    settings.client_session_kwargs = {"trust_env": False}
    try:
        api = client.ApiClient(settings)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ObjectError(f"no way to reach a cluster: its certificates cannot be read: {error}") from error
    api.user_agent = "edgeplan"
    return api


async def cluster_uid(api: client.ApiClient, patience: float | None = None) -> str:
    """The uid of the kube-system namespace, which the field uses as the cluster's identity."""
    what = "cannot read namespace kube-system, the cluster's identity (--cluster-id gives one)"
    async with translated(what, patience):
        return str((await metadata(api, "/api/v1/namespaces/kube-system"))["uid"])


async def metadata(api: client.ApiClient, path: str) -> Mapping[str, Any]:
    """The metadata of an object.

    Without the library's models: those of CoreV1Api take a second and 25 MB to import, and those of a
    CustomResourceDefinition more time to fill than all else that the deletion of an object needs.
    """
    body = await _read(api, path, "PartialObjectMetadata", {})
    return mapping(body.get("metadata"))


async def metadata_page(api: client.ApiClient, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
    """One page of a list, each item's metadata alone."""
    return await _read(api, path, "PartialObjectMetadataList", query)


async def metadata_pages(
    api: client.ApiClient, path: str, what: str, patience: float | None = None
) -> AsyncIterator[Mapping[str, Any]]:
    """All pages of a list, each item's metadata alone, and `patience` for each page.

    Raises:
        ObjectError: `what`, and why.

    """
    query = {"limit": str(_PAGE)}
    while True:
        async with translated(what, patience):
            page = await metadata_page(api, path, query)
        yield page
        more = mapping(page.get("metadata")).get("continue")
        if not more:
            return
        query = {"limit": str(_PAGE), "continue": str(more)}


async def _read(api: client.ApiClient, path: str, form: str, query: Mapping[str, str]) -> Mapping[str, Any]:
    return mapping(await call(api, "GET", path, query=query, accept=_METADATA_ONLY.format(form)))


async def call(
    api: client.ApiClient,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    query: Mapping[str, str] | None = None,
    accept: str = _JSON,
    content_type: str = _JSON,
) -> Any:
    """Make a call by the library's session and credentials; what the API server answered, as JSON.

    Without the library's generated methods, which check, copy and template each argument: that took 0.12 ms a call
    where all the rest of it, both ends, took 0.38.

    Raises:
        ApiException: the answer is a refusal. And whatever aiohttp raises; ValueError, where the answer is no JSON.

    """
    headers = {**api.default_headers, "Accept": accept, "Content-Type": content_type}
    await api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
    url = f"{api.configuration.host}{quote(path)}" + (f"?{urlencode(query)}" if query else "")
    answer = await api.rest_client.request(method, url, headers=headers, body=body)  # type: ignore[no-untyped-call]
    await answer.read()
    if not _OK <= answer.status < _REDIRECT:
        raise ApiException.from_response(http_resp=answer, body=answer.data.decode(), data=None)
    return from_json(answer.data)


def mapping(answer: Any) -> Mapping[str, Any]:
    """The answer, if it is an object at all: something in between may have answered with a page of its own.

    Raises:
        ObjectError: it is something else.

    """
    if not isinstance(answer, Mapping):
        raise ObjectError(f"no answer of the Kubernetes API, but {str(answer)[:80]!r}")
    return answer
