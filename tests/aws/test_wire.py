"""Calls made in the event loop go as botocore's own do, and end as they do."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from controller.aws.accounts import Accounts
from controller.aws.sessions import Role
from controller.domain.actions import CreatePlan
from controller.domain.failures import Failure
from controller.domain.resource import Scope
from controller.domain.spec import ModelConfig
from controller.engine.ports import AwsError
from controller.operator.eventloop import new_event_loop
from edge_manager.sandbox.server import Sandbox
from tests.aws.conftest import REGION, Endpoint, Said, account, accounts_at
from tests.edge_manager.test_serve import certificate

T = TypeVar("T")
HERE = Scope("default", REGION)
MODELS = (ModelConfig(model_handle="a", edge_packaging_job_name="b"),)
CREATE = CreatePlan("plan", "fleet", MODELS, (), {"team": "retail"})
TAGS = Said('{"Tags": [{"Key": "team", "Value": "retail"}]}')
# What differs from call to call: time, signature, botocore's id of the call.
OF_ONE_CALL = re.compile(r"\d{8}T\d{6}Z|Signature=\w+|[0-9a-f]{8}-[0-9a-f-]{27}")


def in_its_loop(call: Coroutine[Any, Any, T]) -> T:
    """What it returns in a loop of the operator's kind."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(call)


def way(url: str, *, in_loop: bool, timeout: float = 5) -> Accounts:
    return Accounts(region=REGION, accounts={}, threads=4, timeout=timeout, endpoint_url=url, in_loop=in_loop)


def tags(url: str, *, in_loop: bool) -> dict[str, str]:
    with closing(way(url, in_loop=in_loop)) as accounts:
        return in_its_loop(accounts.plans(HERE).tags("arn"))


def failure(url: str, *, in_loop: bool, timeout: float = 5) -> Failure:
    with closing(way(url, in_loop=in_loop, timeout=timeout)) as accounts, pytest.raises(AwsError) as caught:
        in_its_loop(accounts.plans(HERE).apply(CREATE))
    return caught.value.failure


def test_client_that_is_made_ahead_calls_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    with listening(lambda _: called.append("called")) as url, closing(way(url, in_loop=True)) as accounts:
        plans = accounts.plans(HERE)
        in_its_loop(plans.prepare())
        assert plans._clients.keys() == {"sagemaker"}
    assert called == []
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere.pem")
    with closing(way("https://127.0.0.1:1", in_loop=True)) as accounts:
        in_its_loop(accounts.plans(HERE).prepare())  # no word: it is for the first call to tell
        with pytest.raises(AwsError, match="No such file"):
            in_its_loop(accounts.plans(HERE).tags("arn"))


@contextmanager
def listening(act: Callable[[socket.socket], object]) -> Iterator[str]:
    """Somebody who does that with each connection, and then closes it."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, suppress(OSError):
                    connection.recv(65536)
                    act(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_the_request_is_the_one_that_botocore_sends(endpoint: Endpoint) -> None:
    endpoint.says = [TAGS]
    assert tags(endpoint.url, in_loop=True) == tags(endpoint.url, in_loop=False) == {"team": "retail"}
    ours, botocores = ({name: OF_ONE_CALL.sub("", value) for name, value in head.items()} for head in endpoint.heads)
    assert ours == botocores
    assert "Credential=AKIAEXAMPLE" in ours["authorization"]


def test_who_calls_is_told_with_its_version_and_what_it_runs_on(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EXECUTION_ENV", "EKS")
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "fleets")
    endpoint.says = [TAGS]
    tags(endpoint.url, in_loop=True)
    said = endpoint.heads[0]["user-agent"]
    assert re.fullmatch(r"edgeplan/\S+ Boto3/\S+ Python/\S+ \w+/\S+ exec-env/EKS Botocore/\S+ app/fleets", said), said


def test_calls_under_way_need_no_threads(endpoint: Endpoint) -> None:
    threads: list[str] = []

    async def many(accounts: Accounts) -> None:
        plans = accounts.plans(HERE)
        await asyncio.gather(*(plans.tags("arn") for _ in range(20)))
        threads.extend(thread.name for thread in threading.enumerate() if thread.name.startswith("aws-"))

    endpoint.says = [TAGS]
    with closing(accounts_at(endpoint.url)) as accounts:
        in_its_loop(many(accounts))
    assert len(endpoint.asked) == 20
    assert len(threads) <= 2  # which made the client


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"SSH-2.0-OpenSSH_9.7\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", id="half a head"),
    ],
)
def test_who_does_not_answer_may_have_done_it(answer: bytes) -> None:
    with listening(lambda connection: connection.sendall(answer)) as url:
        ours, botocores = failure(url, in_loop=True), failure(url, in_loop=False)
    assert (ours.kind, ours.harmless, ours.sent) == (botocores.kind, botocores.harmless, botocores.sent)
    assert not ours.harmless


def test_who_keeps_silent_may_have_done_it() -> None:
    over = threading.Event()
    with listening(lambda _: over.wait(10)) as url:
        ours, botocores = failure(url, in_loop=True, timeout=0.3), failure(url, in_loop=False, timeout=0.3)
        over.set()
    assert (ours.kind, ours.code, ours.harmless) == (botocores.kind, botocores.code, botocores.harmless)
    assert (ours.code, ours.harmless) == ("ReadTimeoutError", False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no.such.host.invalid"])
def test_where_nobody_listens_nothing_was_done(url: str) -> None:
    ours, botocores = failure(url, in_loop=True), failure(url, in_loop=False)
    assert (ours.kind, ours.code, ours.harmless, ours.sent) == (
        *(botocores.kind, botocores.code, botocores.harmless, botocores.sent),
    )
    assert (ours.code, ours.harmless, ours.sent) == ("EndpointConnectionError", True, False)


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_the_authority_that_the_environment_names_is_trusted_and_no_other(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    chain, key = certificate(tmp_path)
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(chain, key)
    endpoint.says = [TAGS]
    with endpoint.secured(trust) as url:
        ours, botocores = failure(url, in_loop=True), failure(url, in_loop=False)
        assert (ours.code, ours.harmless) == (botocores.code, botocores.harmless) == ("SSLError", True)
        monkeypatch.setenv(variable, chain)
        assert tags(url, in_loop=True) == {"team": "retail"}


def test_without_the_authorities_that_the_environment_names_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file")
    found = failure("https://127.0.0.1:9", in_loop=True)
    assert (found.code, found.harmless, found.sent) == ("SSLError", True, False)
    assert "No such file" in found.message


@pytest.mark.parametrize("bypass", [False, True])
def test_a_proxy_is_gone_through_unless_it_is_not_for_that_host(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, *, bypass: bool
) -> None:
    with Endpoint() as proxy:
        proxy.says = endpoint.says = [TAGS]
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1" if bypass else "example.com")
        assert tags(endpoint.url, in_loop=True) == {"team": "retail"}
    assert [len(endpoint.asked), len(proxy.asked)] == ([1, 0] if bypass else [0, 1])


def test_a_role_is_assumed_in_a_thread_and_signs_in_the_loop_from_then_on(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assumed, signed = [], []
    assume, sign = Role._assume, Role.sign

    def watched_assume(role: Role, namespace: str | None) -> dict[str, object]:
        assumed.append(threading.current_thread())
        return assume(role, namespace)

    def watched_sign(role: Role, request: object, **context: object) -> None:
        signed.append(threading.current_thread())
        sign(role, request, **context)

    monkeypatch.setattr(Role, "_assume", watched_assume)
    monkeypatch.setattr(Role, "sign", watched_sign)

    async def several(accounts: Accounts) -> None:
        for _ in range(3):
            await accounts.plans(Scope("emea", REGION)).list_plans()

    with closing(accounts_at(sandbox.url, emea=account())) as accounts:
        in_its_loop(several(accounts))
    here = threading.current_thread()
    assert len(assumed) == 1
    assert assumed[0] is not here
    assert [thread is here for thread in signed] == [False, True, True]
