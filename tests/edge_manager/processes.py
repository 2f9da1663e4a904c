"""The service as a process, its keys, and databases for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from edge_manager.domain.access import Principal, Role
from edge_manager.store import keys
from edge_manager.store.engine import Store
from edge_manager.store.keys import Key, Seal

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=60, parameter_validation=False)


@dataclass
class Served:
    """A service that runs, or can run again, on one store."""

    store: str
    secret_key: str
    environment: dict[str, str]
    url: str = ""
    process: subprocess.Popen[str] | None = None
    arguments: tuple[str, ...] = ()
    clients: list[Any] = field(default_factory=list)
    log: Path = field(default_factory=lambda: Path(tempfile.mkstemp(prefix="edge-manager-", suffix=".log")[1]))

    def start(self, port: int = 0) -> Served:
        command = [sys.executable, "-m", "edge_manager", "serve", "--port", str(port), "--rate", "0", *self.arguments]
        with self.log.open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Edge Manager on "), self.log.read_text(encoding="utf-8")
        self.url = line.split()[-1]
        process.stdout.readline()  # what to export
        process.stdout.close()
        return self

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[-1])

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def key(self, role: Role = Role.ADMIN, account: str = "111111111111", **more: Any) -> Key:
        """A key, made in the store directly: a process for each would take a second."""
        store, seal = Store(self.store), Seal(self.secret_key)
        key = store.write(lambda db: keys.create(db, seal, 0.0, Principal("", account, "", role, **more)))
        store.close()
        return key

    def client(self, service: str, key: Key, *, region: str = REGION, token: str | None = None) -> Any:
        client = boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key.principal.access_key,
            aws_secret_access_key=key.secret,
            aws_session_token=token,
            config=ONCE,
        )
        self.clients.append(client)
        return client

    def close_clients(self) -> None:
        for client in self.clients:
            client.close()
        self.clients.clear()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of `edge-manager` on the same store."""
        command = [sys.executable, "-m", "edge_manager", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def audit(self) -> list[dict[str, Any]]:
        """The audit log so far."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line.split(" ", 4)[4]) for line in lines if " edge_manager.audit " in line]


@contextmanager
def served(store: str, *, s3: str = "http://127.0.0.1:9", arguments: tuple[str, ...] = ()) -> Iterator[Served]:
    secret_key = Seal.new_key()
    environment = os.environ | {
        "EDGE_MANAGER_STORE": store,
        "EDGE_MANAGER_SECRET_KEY": secret_key,
        "AWS_ENDPOINT_URL_S3": s3,
        "AWS_ACCESS_KEY_ID": "s3",
        "AWS_SECRET_ACCESS_KEY": "s3",
        "AWS_REGION": REGION,
    }
    service = Served(store, secret_key, environment, arguments=arguments)
    try:
        yield service
    finally:
        service.close_clients()
        if service.process is not None and service.process.poll() is None:
            service.kill()
        service.log.unlink(missing_ok=True)


@contextmanager
def s3_server() -> Iterator[str]:
    """A real S3 over HTTP, with a bucket for models."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104
    client = s3_client(url)
    client.create_bucket(Bucket="models")
    client.close()
    yield url
    server.stop()


def s3_client(url: str) -> Any:
    keys = {"aws_access_key_id": "s3", "aws_secret_access_key": "s3"}
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.db'}"
