"""Ask the API server for what the operator needs, as the operator does: with its image and its ServiceAccount.

`helm test` runs it; the arguments are the watched namespaces, none for all.
"""
# ruff: noqa: INP001 - a script in a chart, not a module of the package

import asyncio
import sys

from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

GROUP, VERSION, PLURAL = "edgeplan.dev", "v1alpha1", "edgedeploymentplans"


async def check(namespaces: list[str]) -> None:
    """Exit with what is wrong, if anything is."""
    config.load_incluster_config()  # type: ignore[no-untyped-call]
    async with client.ApiClient() as api:
        objects = client.CustomObjectsApi(api)
        try:
            await client.ApiextensionsV1Api(api).read_custom_resource_definition(f"{PLURAL}.{GROUP}")
            for namespace in namespaces:
                await objects.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, limit=1)
            if not namespaces:
                await objects.list_cluster_custom_object(GROUP, VERSION, PLURAL, limit=1)
        except ApiException as error:
            sys.exit(f"{error.status} {error.reason}: {error.body}")
    where = ", ".join(namespaces) or "all namespaces"
    sys.stdout.write(f"{GROUP}/{VERSION} is served, and {PLURAL} can be listed in {where}\n")


asyncio.run(check(sys.argv[1:]))
