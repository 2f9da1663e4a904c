"""Before the operator starts: whether there is a way to a cluster, and whether its API server answers."""

import os

from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from controller.cluster.connection import cluster_uid, configuration, connect, may_pass, translated
from controller.engine.ports import ObjectError

_PATIENCE = 10.0  # seconds for one answer
_REFUSALS = frozenset({401, 429})


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
        path = os.environ.get("KUBECONFIG")
        raise ObjectError(f"{error} (KUBECONFIG={path})" if path else str(error)) from error
    try:
        async with translated(f"the API server at {settings.host} does not answer", _PATIENCE):
            await _ask(api)
        if identify:
            await cluster_uid(api, _PATIENCE)
    except ObjectError as error:
        if may_pass(error):
            return str(error)
        raise
    finally:
        await api.close()  # type: ignore[no-untyped-call]
    return None


async def _ask(api: client.ApiClient) -> None:
    """Ask for the version, which anybody may know: any answer will do that is no refusal of the caller."""
    request = await api.param_serialize("GET", "/version", auth_settings=["BearerToken"])
    answer = await api.call_api(*request)
    await answer.read()  # type: ignore[no-untyped-call]
    if answer.status in _REFUSALS or answer.status >= 500:  # noqa: PLR2004 - HTTP's own
        raise ApiException(status=answer.status, reason=answer.reason)
