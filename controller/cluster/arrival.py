"""Before the operator starts: whether there is a way to a cluster, and whether its API server answers."""

import asyncio
import os
import ssl

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from controller.cluster.connection import cluster_uid, configuration, connect
from controller.engine.ports import ObjectError

_PATIENCE = 10.0  # seconds for one answer
_UNAUTHORIZED, _TOO_MANY, _SERVER_ERROR = 401, 429, 500


async def call_on_cluster(*, identify: bool) -> str | None:
    """None if the API server answers, or else why it does not yet: worth another try.

    `identify`: the cluster's own identity must be readable too.

    Raises:
        ObjectError: it never will as things are: no way to a cluster, refused credentials, no right to read kube-system.

    """
    try:
        settings = await configuration()
        api = connect(settings, connections=1)
    except ObjectError as error:
        raise ObjectError(f"{error}{_named_file()}") from error
    except Exception as error:
        # A broken file can be wrong in any way, and the library checks none of them.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ObjectError(f"no way to reach a cluster: {type(error).__name__}: {reason}{_named_file()}") from error
    try:
        await asyncio.wait_for(_ask(api, identify=identify), _PATIENCE)
    except (ssl.SSLError, aiohttp.ClientSSLError) as error:
        raise ObjectError(f"the API server at {settings.host} is not the one of the configuration: {error}") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return f"the API server at {settings.host} does not answer: {str(error) or 'it takes too long'}"
    except ApiException as error:
        if error.status == _TOO_MANY or error.status >= _SERVER_ERROR:
            return f"the API server at {settings.host} answers {error.status} {error.reason}"
        raise ObjectError(f"the API server at {settings.host} answers {error.status} {error.reason}") from error
    finally:
        await api.close()  # type: ignore[no-untyped-call]
    return None


def _named_file() -> str:
    path = os.environ.get("KUBECONFIG")
    return f" (KUBECONFIG={path})" if path else ""


async def _ask(api: client.ApiClient, *, identify: bool) -> None:
    request = await api.param_serialize("GET", "/version", auth_settings=["BearerToken"])
    answer = await api.call_api(*request)
    await answer.read()  # type: ignore[no-untyped-call]
    if answer.status in (_UNAUTHORIZED, _TOO_MANY) or answer.status >= _SERVER_ERROR:
        raise ApiException(status=answer.status, reason=answer.reason)
    if not identify:
        return
    try:
        await cluster_uid(api)
    except ObjectError as error:
        cause = error.__cause__
        if isinstance(cause, ApiException) and cause.status >= _SERVER_ERROR:
            raise cause from error
        raise
