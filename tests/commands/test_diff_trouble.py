"""`edgeplan diff` where cluster or AWS make trouble: one line, exit code 2, and never the 1 that means a difference."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from edge_manager.sandbox.server import Sandbox
from tests.commands.conftest import Ended

Run = Callable[..., Ended]
OWNER = "edgeplan.dev/owner"
MANIFEST = """
apiVersion: edgeplan.dev/v1alpha1
kind: EdgeDeploymentPlan
metadata: {name: store, namespace: retail}
spec:
  modelConfigs: [{modelHandle: counter, edgePackagingJobName: counter-v7}]
  deviceFleetName: store
"""
KUBE_SYSTEM = json.dumps({"metadata": {"uid": "uid-of-kube-system"}})


@pytest.fixture(autouse=True)
def manifest(sandbox: Sandbox) -> None:
    assert sandbox.url  # it has changed the working directory
    Path("store.yaml").write_text(MANIFEST)


@contextmanager
def api_server(answer: Callable[[str], tuple[int, str] | None]) -> Iterator[None]:
    """An API server in KUBECONFIG that answers a path with a code and a text, or closes the connection on None."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = answer(self.path)
            self.close_connection = True
            if said is None:
                return
            self.send_response(said[0])
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(said[1].encode())

        def log_message(self, *_: Any) -> None:
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "c",
            }
            Path("no-cluster").write_text(json.dumps(config))  # the fixture's KUBECONFIG names it
            yield
        finally:
            server.shutdown()
            serving.join()


def later(text: tuple[int, str] | None) -> Callable[[str], tuple[int, str] | None]:
    """An API server that greets, and then answers every question about an object so."""
    return lambda path: (200, KUBE_SYSTEM) if path.endswith("kube-system") else text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(lambda _: None, "Server disconnected", id="closes-every-connection"),
        pytest.param(later(None), "Server disconnected", id="closes-the-connection-later"),
        pytest.param(lambda _: (401, '{"message": "Unauthorized"}'), "401", id="unauthorized"),
        pytest.param(lambda _: (503, "<html>\n<body>\nno\n</body>"), "503", id="unavailable"),
        pytest.param(later((500, '{"message": "etcd is away\\n"}')), "etcd is away", id="fails-later"),
        pytest.param(lambda _: (200, "<html>\nhello\n</html>"), "no answer of the Kubernetes API", id="html"),
        pytest.param(later((200, "<html>\nhello\n</html>")), "no answer of the Kubernetes API", id="html-later"),
        pytest.param(later((200, "{}")), "no answer of the Kubernetes API", id="empty-later"),
        pytest.param(later((200, '{"metadata": {')), "no answer of the Kubernetes API", id="half-later"),
    ],
)
def test_trouble_with_the_cluster_is_one_line_and_no_difference(
    edgeplan: Run, answer: Callable[[str], tuple[int, str] | None], said: str
) -> None:
    with api_server(answer):
        ended = edgeplan("diff", "store.yaml")
    (line,) = ended.err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert ended.code == 2


def test_identity_that_may_not_be_read_is_a_note(edgeplan: Run) -> None:
    def answer(path: str) -> tuple[int, str]:
        return (403, '{"message": "no"}') if path.endswith("kube-system") else (404, '{"message": "none"}')

    with api_server(answer):
        ended = edgeplan("diff", "store.yaml")
        told = edgeplan("diff", "--cluster-id", "prod", "store.yaml")
    assert "note: cannot read namespace kube-system" in ended.err
    assert "--cluster-id" in ended.err
    assert (ended.code, told.code, told.err) == (1, 1, "")


@pytest.mark.parametrize("config", ["{", "", "[]", "current-context: x\ncontexts: 4\nclusters: 3"])
def test_kubeconfig_that_cannot_be_read_counts_as_no_cluster(edgeplan: Run, config: str) -> None:
    Path("no-cluster").write_text(config)
    ended = edgeplan("diff", "store.yaml")
    first, *_ = ended.err.splitlines()
    assert first.startswith("note: no way to reach a cluster: ")
    assert ended.code == 1


def test_trouble_that_nobody_foresaw_is_no_difference(edgeplan: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    ended = edgeplan("diff", "store.yaml")
    *_, line = ended.err.splitlines()
    assert line == "error: ProfileNotFound: The config profile (nobodys) could not be found"
    assert ended.code == 2


def test_aws_that_closes_the_connection_is_one_line(edgeplan: Run, sandbox: Sandbox) -> None:
    sandbox.fault("DescribeEdgeDeploymentPlan", mode="drop_after")
    ended = edgeplan("diff", "store.yaml")
    *_, line = ended.err.splitlines()
    assert line.startswith("error: retail/store (store.yaml:2): ")
    assert ended.code == 2


def the_object(uid: str) -> Callable[[str], tuple[int, str] | None]:
    """A cluster in which the object store is there, with that uid."""
    body = {
        "metadata": {
            "namespace": "retail",
            "name": "store",
            "uid": uid,
            "generation": 1,
            "resourceVersion": "7",
            "creationTimestamp": "2026-03-01T12:00:00Z",
        }
    }
    return later((200, json.dumps(body)))


def test_own_object_is_recognised_by_its_uid_under_another_cluster_id(
    edgeplan: Run, at_aws: Callable[..., str]
) -> None:
    at_aws(tags={OWNER: "prod/retail/store/uid-1"}, Stages=[])
    with api_server(the_object("uid-1")):
        ended = edgeplan("diff", "store.yaml")
        told = edgeplan("diff", "--cluster-id", "prod", "store.yaml")
        wrongly_told = edgeplan("diff", "--cluster-id", "test", "store.yaml")
    assert ended.err == (
        "note: retail/store: the tag of the AWS plan names this very object in cluster prod: "
        "the operator runs with --cluster-id prod: give it to diff too\n"
    )
    assert (ended.code, ended.out) == (told.code, told.out)
    assert "= no difference" in ended.out
    assert told.err == ""
    assert "--cluster-id prod" in wrongly_told.err
    assert "! refused" in wrongly_told.out


def test_former_life_under_another_cluster_id_is_a_question(edgeplan: Run, at_aws: Callable[..., str]) -> None:
    at_aws(tags={OWNER: "prod/retail/store/uid-0"}, Stages=[])
    with api_server(the_object("uid-1")):
        ended = edgeplan("diff", "store.yaml")
    assert "names an object of this namespace and name in cluster prod: if the operator has it" in ended.err
    assert "! refused" in ended.out
    assert ended.code == 1


def test_credentials_that_are_missing_are_the_callers_own(edgeplan: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    ended = edgeplan("diff", "store.yaml", "--cluster-id", "test")
    assert ended.code == 2
    own = "this command asks AWS with your own credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    assert own in ended.err
    assert "whoever runs the operator" not in ended.err


def test_rights_that_are_missing_are_the_callers_own(edgeplan: Run, sandbox: Sandbox) -> None:
    sandbox.fault("DescribeEdgeDeploymentPlan", error="AccessDeniedException")
    ended = edgeplan("diff", "store.yaml", "--cluster-id", "test")
    assert ended.code == 2
    assert "your own credentials: they must be allowed sagemaker:DescribeEdgeDeploymentPlan" in ended.err
