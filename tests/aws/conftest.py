"""Fixtures: the sandbox, and an endpoint that answers whatever a test wants."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import pytest

from controller.aws.accounts import Accounts
from controller.aws.accounts_file import Account, OwnAccount
from edge_manager.sandbox.server import Sandbox

REGION = "eu-west-1"
HTML = (
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body>" + "You shall not pass. " * 500 + "</body></html>"
)


@dataclass
class Said:
    """One answer of the endpoint."""

    body: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/x-amz-json-1.1"})


class Endpoint:
    """An endpoint of another make: answers in turn, the last one for ever."""

    def __init__(self) -> None:
        self.says: list[Said] = []
        self.asked: list[str] = []
        self.heads: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.heads.append({name.lower(): value for name, value in self.headers.items()} | {"path": self.path})
                outer.asked.append(self.headers.get("X-Amz-Target", "").rpartition(".")[2] or "sts")
                said = outer.says.pop(0) if len(outer.says) > 1 else outer.says[0]
                self.send_response_only(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                body = said.body.encode()
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def secured(self, trust: ssl.SSLContext) -> Iterator[str]:
        """The same endpoint, spoken to by TLS meanwhile."""
        plain = self._server.socket
        self._server.socket = trust.wrap_socket(plain, server_side=True)
        yield self.url.replace("http:", "https:")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with Endpoint() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", running.url)
        yield running


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", running.url)
        yield running


_in_loop = True


@pytest.fixture(params=["loop", "threads"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`accounts_at` makes calls in the event loop, as the operator does, and in threads, as commands do."""
    monkeypatch.setattr("tests.aws.conftest._in_loop", request.param == "loop")


def accounts_at(
    url: str, own: OwnAccount | None = None, may_call: Callable[[], bool] = lambda: True, **accounts: Account
) -> Accounts:
    return Accounts(
        region=REGION,
        accounts=accounts,
        threads=4,
        timeout=5,
        endpoint_url=url,
        own=own,
        may_call=may_call,
        in_loop=_in_loop,
    )


def account(*regions: str, **bounds: object) -> Account:
    return Account.model_validate(
        {"roleArn": "arn:aws:iam::222222222222:role/edge", "regions": regions or (REGION,), **bounds}
    )
