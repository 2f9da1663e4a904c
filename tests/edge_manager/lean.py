"""Calls that cost little, for tests that make thousands of them. That plain boto3 does the same is the story's matter."""

from __future__ import annotations

import http.client
import json
import select
from typing import Any

from edge_manager.simulate.signing import Signer
from edge_manager.store.keys import Key
from tests.edge_manager.processes import REGION


class Refused(Exception):  # noqa: N818  said of a call, as in the rules
    """An answer that is an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Lean:
    """A connection of one key to one service, opened again whenever it was lost."""

    def __init__(self, port: int, key: Key) -> None:
        self.key = key
        self._signer = Signer(key.principal.access_key, key.secret, REGION, f"127.0.0.1:{port}")
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def control(self, operation: str, **wanted: Any) -> dict[str, Any]:
        """Call an operation of `sagemaker`."""
        return self._post("/", wanted, f"SageMaker.{operation}")

    def edge(self, operation: str, **wanted: Any) -> dict[str, Any]:
        """Call an operation of `sagemaker-edge`."""
        return self._post(f"/{operation}", wanted, None)

    def close(self) -> None:
        self._connection.close()

    def _post(self, path: str, wanted: dict[str, Any], target: str | None) -> dict[str, Any]:
        body = json.dumps(wanted).encode()
        self._let_go_of_the_dead()
        try:
            self._connection.request("POST", path, body, self._signer.headers(path, body, target))
            answer = self._connection.getresponse()
            found: dict[str, Any] = json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ConnectionError(str(error)) from error
        if answer.status != 200:
            raise Refused(found["__type"], found.get("message", found.get("Message", "")))
        return found

    def _let_go_of_the_dead(self) -> None:
        """A service that was killed since the last call has closed the connection: nothing else is to be read by now."""
        if self._connection.sock is not None and select.select([self._connection.sock], [], [], 0)[0]:
            self._connection.close()
