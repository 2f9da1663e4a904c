"""Calls of a botocore client made in the event loop: botocore builds, signs and reads them, aiohttp carries them.

botocore waits for the answer in its own way, so that each call under way needs a thread. Threads that wake each other up
for every call took more time than botocore itself. What may keep whoever asks waiting for something else than this answer
still has a thread: credentials that must be fetched or assumed first, and proxies, which botocore knows and this does not.
"""

import asyncio
import io
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import aiohttp
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.endpoint import convert_to_response_dict
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import ProxyConfiguration, get_cert_path
from botocore.parsers import create_parser
from botocore.session import get_session
from botocore.utils import get_environ_proxies
from yarl import URL

_KEPT = 120.0  # seconds that a connection is kept for the next call: a sweep comes every minute
_REDIRECT = 300
# urllib3, which carries botocore's own calls, sends these no other way; and AWS answers what it is asked for.
_NOT_SENT = ("Accept", "Accept-Encoding", "User-Agent")
_PLAIN = {"Accept-Encoding": "identity"}

_closing: set[asyncio.Task[None]] = set()
_building: ContextVar[bool] = ContextVar("building", default=False)


class _Built(Exception):  # noqa: N818 - no fault: it ends botocore's call right before it sends
    """The request as botocore would have sent it."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


class _Body(io.BytesIO):
    """What urllib3 would give botocore."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


class Wire:
    """The way to one client's endpoint. It belongs to the event loop of its first call."""

    def __init__(self, client: Any, credentials: Callable[[], Credentials | None]) -> None:
        """`credentials`: those that sign what is called now. It reads files, so: in a thread.

        Raises:
            SSLError: the authorities that the environment names cannot be read.

        """
        self._client = client
        self._credentials = credentials
        self._session: aiohttp.ClientSession | None = None
        self._trust = _trust(client.meta.endpoint_url)
        model = client.meta.service_model
        self._parser = create_parser(model.resolved_protocol)
        self._service = model.service_id.hyphenize()
        # The last of them: whoever else has a say before something is sent has had it.
        client.meta.events.register_last(f"before-send.{self._service}", _stop)

    @staticmethod
    def reaches(url: str) -> bool:
        """Whether it leads there: no proxy stands between."""
        return ProxyConfiguration(get_environ_proxies(url)).proxy_url_for(url) is None

    @property
    def ready(self) -> bool:
        """Whether a call can be signed at once: else it has to wait for credentials, and that in a thread."""
        credentials = self._credentials()
        if credentials is None:
            return False
        return not (isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed())

    async def call(self, make: Callable[[], Any], operation: str) -> Any:
        """The answer to the call that `make` makes by the client, and is kept from making.

        Raises: what the client's own call does.
        """
        return self._read(operation, await self._send(_built(make)))

    def close(self) -> None:
        """Close the connections; in the event loop if it still runs."""
        session, self._session = self._session, None
        if session is None:
            return
        try:
            closing = asyncio.get_running_loop().create_task(session.close(), name="closing connections to AWS")
        except RuntimeError:
            asyncio.run(session.close())
        else:
            _closing.add(closing)  # a loop itself keeps no task alive
            closing.add_done_callback(_closing.discard)

    async def _send(self, request: AWSPreparedRequest) -> AWSResponse:
        """As botocore's `URLLib3Session.send`, whose errors are known here."""
        url = request.url
        headers = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
        }
        try:
            async with self._open().request(
                request.method,
                URL(url, encoded=True),
                data=request.body,
                headers=headers | _PLAIN,
                allow_redirects=False,
            ) as answer:
                return AWSResponse(url, answer.status, answer.headers, _Body(await answer.read()))
        except aiohttp.ClientSSLError as error:
            raise SSLError(endpoint_url=url, error=error) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=url, error=error) from error
        except aiohttp.ClientConnectorError as error:
            raise EndpointConnectionError(endpoint_url=url, error=error) from error
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=url, error=error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionClosedError(endpoint_url=url, error=error, request=request) from error
        except Exception as error:
            raise HTTPClientError(error=error) from error

    def _read(self, operation: str, answer: AWSResponse) -> Any:
        """What botocore does with an answer, once it has one."""
        model = self._client.meta.service_model.operation_model(operation)
        response: Mapping[str, Any] = convert_to_response_dict(answer, model)
        self._client.meta.events.emit(
            f"before-parse.{self._service}.{operation}",
            operation_model=model,
            response_dict=response,
            customized_response_dict={},
        )
        parsed = self._parser.parse(response, model.output_shape)
        if answer.status_code >= _REDIRECT:
            raise self._client.exceptions.from_code(parsed.get("Error", {}).get("Code"))(parsed, operation)
        return parsed

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            config = self._client.meta.config
            # No limit, as urllib3 has none: a call that waited for a connection would go long after it was said that it may.
            connections = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT, ssl=self._trust)
            self._session = aiohttp.ClientSession(
                connector=connections,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=config.connect_timeout, sock_read=config.read_timeout
                ),
                auto_decompress=False,
                skip_auto_headers=_NOT_SENT,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _trust(url: str) -> ssl.SSLContext | bool:
    """Whom to believe there: the file that botocore's own clients take, if one is named, or the one that it brings."""
    if not url.startswith("https:"):
        return True
    named = get_session().get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    try:
        return ssl.create_default_context(cafile=get_cert_path(named or True))
    except OSError as error:  # nothing has been sent
        raise SSLError(endpoint_url=url, error=error) from error


def _built(make: Callable[[], Any]) -> AWSPreparedRequest:
    token = _building.set(True)
    try:
        make()
    except _Built as built:
        return built.request
    finally:
        _building.reset(token)
    raise RuntimeError("botocore sent what it was only to build")


def _stop(request: AWSPreparedRequest, **_: Any) -> None:
    if _building.get():
        raise _Built(request)
