"""The client: makes, edits and deletes N objects of a kind, and follows them by a watch, as `kubectl wait` does."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from tests.bench.process import TooSlowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from playground.cluster import Cluster
    from tests.bench.kinds import Kind

USER_AGENT: Final = "edgeplan-bench"
_CLIENTS: Final = 4
_KEPT: Final = 30.0
_MERGE: Final = "application/merge-patch+json"


class Api:
    """The API server's REST calls over connections that are kept, one a thread; counts what it asks."""

    def __init__(self, cluster: Cluster) -> None:
        self._address = urlsplit(cluster.url)
        self._tls = ssl.create_default_context(cafile=str(cluster.authority))
        self._token = str(cluster._access()["token"])
        self._local = threading.local()
        self.asked: Counter[str] = Counter()
        """Requests by verb and resource, named as in the API server's own metrics."""

    def connection(self) -> HTTPSConnection:
        return HTTPSConnection(self._address.hostname or "", self._address.port, timeout=600, context=self._tls)

    def headers(self, content_type: str = "application/json") -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", "Content-Type": content_type, "User-Agent": USER_AGENT}

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        connection: HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is None or time.monotonic() - self._local.used > _KEPT:  # the API server drops it after 90 s
            connection = self._local.connection = self.connection()
        self._local.used = time.monotonic()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self.headers(content_type))
            answer = connection.getresponse()
        except ConnectionError:
            self._local.connection = None
            raise
        text = answer.read()
        if answer.status >= 300:
            raise TooSlowError(f"{method} {path}: {answer.status} {text.decode(errors='replace')[:500]}")
        return json.loads(text) if answer.headers.get_content_type() == "application/json" else text.decode()


class Objects:
    """The objects of a kind in a namespace of their own. Use it as a context: the watch ends with the block."""

    def __init__(self, api: Api, kind: Kind, namespace: str, stages: int = 0) -> None:
        self.api, self.kind, self.namespace, self._stages = api, kind, namespace, stages
        self._path = kind.path(namespace)
        self._changed = threading.Condition()
        self.created: dict[str, float] = {}
        """When the client's request to create it was sent, by name."""
        self.ready: dict[str, float] = {}
        """Since when each is ready: absent while it is not."""
        self.present: set[str] = set()
        self.gone: dict[str, float] = {}
        self._generations: dict[str, int] = {}
        self._closed = False
        self.gaps = 0
        """How often the watch ended and began again."""
        self._connection = api.connection()
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})

    def __enter__(self) -> Self:
        version = self.api.request("GET", f"{self._path}?limit=1")["metadata"]["resourceVersion"]
        self._thread = threading.Thread(target=self._follow, args=(version,), name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        if self._connection.sock is not None:
            self._connection.sock.close()

    # -- what is done to them ---------------------------------------------------------------------------------------

    def create(self, names: Iterable[str], **changes: Any) -> None:
        """Create them over four connections; `changes` are fields of the spec."""

        def one(name: str) -> None:
            body = self.kind.body(name, self._stages)
            body["spec"] |= changes
            self.created[name] = time.monotonic()
            self._count("POST")
            self.api.request("POST", self._path, body)

        self._each(one, names)

    def edit(self, names: Iterable[str], spec: dict[str, Any]) -> None:
        """Change the spec of each; none of them is ready until its controller says so of the new one."""

        def one(name: str) -> None:
            self._count("PATCH")
            self.api.request("PATCH", f"{self._path}/{name}", {"spec": spec}, _MERGE)

        self._each(one, names)

    def put(self, body: dict[str, Any]) -> str:
        """Create one as it would be after a long life, with its status; its uid."""
        kept = {key: body["metadata"][key] for key in ("name", "finalizers", "annotations") if key in body["metadata"]}
        made = self.api.request("POST", self._path, {**body, "metadata": kept})
        self.api.request("PATCH", f"{self._path}/{kept['name']}/status", {"status": body["status"]}, _MERGE)
        return str(made["metadata"]["uid"])

    def read(self, name: str) -> dict[str, Any]:
        return dict(self.api.request("GET", f"{self._path}/{name}"))

    def ask(self, name: str) -> None:
        """Have the operator look at one now."""
        annotations = {"edgeplan.dev/reconcile-requested-at": "now"}
        self.api.request("PATCH", f"{self._path}/{name}", {"metadata": {"annotations": annotations}}, _MERGE)

    def delete(self) -> None:
        """Delete all at once. The API server gives up a request after a minute: then again, for those that are left."""
        while True:
            self._count("DELETE")
            try:
                self.api.request("DELETE", self._path)
            except (TooSlowError, ConnectionError) as error:
                if isinstance(error, TooSlowError) and ": 504 " not in str(error):
                    raise
            else:
                return

    def delete_one(self, name: str) -> None:
        self._count("DELETE")
        self.api.request("DELETE", f"{self._path}/{name}")

    # -- what becomes of them ---------------------------------------------------------------------------------------

    def wait(self, question: Callable[[], bool], seconds: float) -> float:
        """The moment at which the answer is yes.

        Raises:
            TooSlowError: it was no for all that time.

        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while not question():
                if not self._changed.wait(min(1.0, deadline - time.monotonic())) and time.monotonic() > deadline:
                    raise TooSlowError(
                        f"not within {seconds:.0f} s: {len(self.ready)} of {len(self.present)} are ready"
                    )
        return time.monotonic()

    def all_ready(self, count: int, seconds: float, *, generation: int = 1) -> float:
        """The moment at which so many are ready, in that generation of their specs or a later one."""

        def all_are() -> bool:
            return len(self.ready) >= count and all(found >= generation for found in self._generations.values())

        return self.wait(all_are, seconds)

    def all_gone(self, seconds: float) -> float:
        """The moment at which none is left."""
        return self.wait(lambda: not self.present, seconds)

    def _follow(self, version: str) -> None:
        """Watch for ever: the API server ends the watch of a client that is slow, and may have forgotten since when."""
        while not self._closed:
            try:
                version = self._watch(version) or self._list()
            except (OSError, HTTPException, ValueError, AttributeError):
                if not self._closed:
                    raise
            self._count("WATCH")  # which the API server counts at its end
            self.gaps += 1

    def _watch(self, version: str) -> str | None:
        """One watch; where the next one has to begin, or None if only a list can tell."""
        self._connection = self.api.connection()
        query = f"?watch=1&resourceVersion={version}&timeoutSeconds=86400"
        self._connection.request("GET", self._path + query, headers=self.api.headers())
        answer = self._connection.getresponse()
        while line := answer.readline():
            event = json.loads(line)
            if event["type"] == "ERROR":
                return None
            version = event["object"]["metadata"]["resourceVersion"]
            self._note(event)
        return version

    def _list(self) -> str:
        self._count("LIST")
        found = self.api.request("GET", self._path)
        for name in self.present - {body["metadata"]["name"] for body in found["items"]}:
            self._note({"type": "DELETED", "object": {"metadata": {"name": name}}})
        for body in found["items"]:
            self._note({"type": "MODIFIED", "object": body})
        return str(found["metadata"]["resourceVersion"])

    def _note(self, event: dict[str, Any]) -> None:
        body = event["object"]
        name = body["metadata"]["name"]
        with self._changed:
            if event["type"] == "DELETED":
                self.present.discard(name)
                self._generations.pop(name, None)
                self.gone[name] = time.monotonic()
                self.ready.pop(name, None)
            else:
                self.present.add(name)
                self._generations[name] = body["metadata"]["generation"]
                if self.kind.is_ready(body):
                    self.ready.setdefault(name, time.monotonic())
                else:
                    self.ready.pop(name, None)
            self._changed.notify_all()

    def _each(self, one: Callable[[str], None], names: Iterable[str]) -> None:
        with ThreadPoolExecutor(_CLIENTS) as clients:
            list(clients.map(one, names))

    def _count(self, verb: str) -> None:
        with self._changed:
            self.api.asked[f"{verb} {self.kind.plural}"] += 1
