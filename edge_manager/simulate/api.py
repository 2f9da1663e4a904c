"""Calls of the two APIs over shared connections."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp

from edge_manager.simulate.signing import Signer

if TYPE_CHECKING:
    from edge_manager.simulate.figures import Figures


class CallError(Exception):
    """A call that was refused or had no answer."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Api:
    """A service at a URL; every call is counted."""

    def __init__(self, session: aiohttp.ClientSession, url: str, region: str, figures: Figures) -> None:
        self._session, self._url, self._region, self._figures = session, url.rstrip("/"), region, figures

    def signer(self, access_key: str, secret: str, token: str | None = None) -> Signer:
        """A key's."""
        return Signer(access_key, secret, self._region, self._url.partition("://")[2], token)

    async def control(self, signer: Signer, operation: str, **wanted: Any) -> dict[str, Any]:
        """Call an operation of `sagemaker`."""
        return await self._call(signer, operation, "/", wanted, f"SageMaker.{operation}")

    async def edge(self, signer: Signer, operation: str, **wanted: Any) -> dict[str, Any]:
        """Call an operation of `sagemaker-edge`."""
        return await self._call(signer, operation, f"/{operation}", wanted, None)

    async def _call(
        self, signer: Signer, operation: str, path: str, wanted: dict[str, Any], target: str | None
    ) -> dict[str, Any]:
        body = json.dumps(wanted).encode()
        headers = signer.headers(path, body, target)
        began = time.monotonic()
        try:
            async with self._session.post(self._url + path, data=body, headers=headers) as answer:
                status, content = answer.status, await answer.read()
            found: dict[str, Any] = json.loads(content) if content else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._figures.count(operation, time.monotonic() - began, type(error).__name__)
            raise CallError(type(error).__name__, str(error)) from error
        code = None if status == HTTPStatus.OK else str(found.get("__type", status))
        self._figures.count(operation, time.monotonic() - began, code)
        if code is not None:
            raise CallError(code, str(found.get("message", found.get("Message", ""))))
        return found
