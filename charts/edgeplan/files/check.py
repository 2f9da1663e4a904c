"""Ask the API server for what the operator needs, as the operator does: with its image and its ServiceAccount.

`helm test` runs it; the arguments are the watched namespaces, none for all.
"""
# ruff: noqa: INP001 - a script in a chart, not a module of the package

import asyncio
import sys
from datetime import UTC, datetime

from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from controller.adapters.kubernetes import KubernetesObjects, connect
from controller.domain.resource import API_VERSION, GROUP, PLURAL
from controller.ports import ObjectError

VERSION = API_VERSION.partition("/")[2]


async def check(namespaces: list[str]) -> None:
    """Exit with what is wrong, if anything is."""
    api = await connect(1)
    try:
        if await KubernetesObjects(api, lambda: datetime.now(UTC), "helm test").definition_going():
            sys.exit(f"the CustomResourceDefinition {PLURAL}.{GROUP} is not there, or is being deleted")
        objects = client.CustomObjectsApi(api)
        for namespace in namespaces:
            await objects.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, limit=1)
        if not namespaces:
            await objects.list_cluster_custom_object(GROUP, VERSION, PLURAL, limit=1)
    except ApiException as error:
        sys.exit(f"{PLURAL} cannot be listed: {error.status} {error.reason}")
    except ObjectError as error:
        sys.exit(str(error))
    finally:
        await api.close()  # type: ignore[no-untyped-call]
    where = ", ".join(namespaces) or "all namespaces"
    sys.stdout.write(f"{API_VERSION} is served, and {PLURAL} can be listed in {where}\n")


asyncio.run(check(sys.argv[1:]))
