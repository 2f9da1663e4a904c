"""The few REST calls that a local cluster makes to its own API server, without kubectl or a client library."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class ApiError(Exception):
    """The API server refused; `code` is the HTTP status, the message is the server's own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ApiClient:
    """Calls one API server as one user."""

    def __init__(self, url: str, token: str, authority: Path) -> None:
        self._url = url
        self._token = token
        self._authority = authority

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Send one request and return the parsed answer, or the text if it is not JSON."""
        request = urllib.request.Request(  # noqa: S310 - the URL is our own https one
            f"{self._url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": content_type,
                "User-Agent": "edgeplan-sandbox",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._context()) as answer:  # noqa: S310
                text = answer.read().decode()
                return json.loads(text) if answer.headers.get_content_type() == "application/json" else text
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, _message(error.read().decode(errors="replace"))) from None

    def is_ready(self) -> bool:
        """Tell whether the API server says that it is ready; not running counts as no."""
        try:
            return bool(self.request("GET", "/readyz") == "ok")
        except (ApiError, OSError):
            return False

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._authority))


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()
