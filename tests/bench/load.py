"""The client: makes, looks at and deletes N plans, over connections that it keeps."""

from __future__ import annotations

import json
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from controller.domain.api import API_VERSION, KIND, PLURAL
from tests.bench.process import TooSlowError
from tests.integration.operators import minimal_spec, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from playground.cluster import Cluster

USER_AGENT = "edgeplan-bench"
_CLIENTS = 4


class Load:
    """The plans of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.namespace = namespace
        self._path = f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}"
        self._address = urlsplit(cluster.url)
        self._tls = ssl.create_default_context(cafile=str(cluster.authority))
        self._token = str(cluster._access()["token"])
        self._local = threading.local()
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        self._request("POST", "/api/v1/namespaces", body)

    def create(self, numbers: Iterable[int]) -> None:
        with ThreadPoolExecutor(_CLIENTS) as clients:
            list(clients.map(self._create, numbers))

    def delete_all(self) -> None:
        self._request("DELETE", self._path)

    def delete(self, name: str) -> None:
        self._request("DELETE", f"{self._path}/{name}")

    def objects(self) -> list[dict[str, Any]]:
        return list(self._request("GET", self._path)["items"])

    def with_arn(self) -> list[str]:
        return [
            body["metadata"]["name"] for body in self.objects() if body.get("status", {}).get("edgeDeploymentPlanArn")
        ]

    def _create(self, number: int) -> None:
        spec = minimal_spec() | {"stages": [stage("fleet")]}
        metadata = {"name": f"{self.namespace}-{number:05}"}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
        self._request("POST", self._path, body)

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        connection: HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            host, port = self._address.hostname or "", self._address.port
            connection = self._local.connection = HTTPSConnection(host, port, timeout=60, context=self._tls)
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
        }
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise TooSlowError(f"{method} {path}: {answer.status} {text.decode(errors='replace')[:500]}")
        return json.loads(text)


def wait_until(question: Callable[[], bool], *, seconds: float, every: float) -> None:
    """Return once the answer is yes.

    Raises:
        TooSlowError: it was no for all that time.

    """
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            raise TooSlowError(f"not within {seconds:.0f} s: {question.__qualname__}")
        time.sleep(every)
