"""The process: how it starts, stops, and what it says when something is missing."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from edge_manager.domain.access import Principal, Role
from edge_manager.store.engine import Store
from edge_manager.store.keys import Key, Seal
from tests.edge_manager.processes import ONCE, REGION, served, sqlite

if TYPE_CHECKING:
    from pathlib import Path


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate for the loopback address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "edge-manager")])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "tls.crt", folder / "tls.key"
    chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(chain), str(private)


def test_it_speaks_tls_if_it_is_given_a_certificate(tmp_path: Path) -> None:
    chain, private = certificate(tmp_path)
    with served(sqlite(tmp_path), arguments=("--tls-cert", chain, "--tls-key", private)) as service:
        service.start()
        assert service.url.startswith("https://")
        key = service.key()
        client = boto3.client(
            "sagemaker",
            region_name=REGION,
            endpoint_url=service.url,
            verify=chain,
            aws_access_key_id=key.principal.access_key,
            aws_secret_access_key=key.secret,
            config=ONCE,
        )
        assert client.list_device_fleets()["DeviceFleetSummaries"] == []
        client.close()
        old = ssl.create_default_context(cafile=chain)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        connection = HTTPSConnection("127.0.0.1", service.port, context=old, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b'{"status": "ok"}'
        connection.close()
        assert service.stop() == 0


def test_a_stop_lets_calls_under_way_end(tmp_path: Path) -> None:
    """A write waits for another process's; the service is told to stop meanwhile, and still answers."""
    with served(sqlite(tmp_path)) as service:
        service.start()
        sagemaker = service.client("sagemaker", service.key())
        store = Store(service.store)
        begun, over = threading.Event(), threading.Event()

        def hold(db: object) -> None:
            del db
            begun.set()
            over.wait(20)

        holder = threading.Thread(target=lambda: store.write(hold))
        holder.start()
        begun.wait(10)
        answers: list[object] = []
        output = {"S3OutputLocation": "s3://models/out"}
        caller = threading.Thread(
            target=lambda: answers.append(sagemaker.create_device_fleet(DeviceFleetName="shops", OutputConfig=output))
        )
        caller.start()
        time.sleep(0.5)
        assert service.process is not None
        service.process.terminate()
        time.sleep(0.5)
        assert service.process.poll() is None
        over.set()
        holder.join()
        caller.join()
        assert len(answers) == 1
        assert service.process.wait(20) == 0
        count = store.read(lambda db: db.execute(text("SELECT count(*) FROM fleets")).scalar())
        store.close()
        assert count == 1


def test_a_device_that_vanishes_in_the_middle_of_its_request_is_no_trouble_of_ours(tmp_path: Path) -> None:
    with served(sqlite(tmp_path)) as service:
        service.start()
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", service.port)) as caller:
                caller.sendall(b"POST /SendHeartbeat HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
                time.sleep(0.2)
        with closing(HTTPConnection("127.0.0.1", service.port, timeout=60)) as probe:
            probe.request("GET", "/healthz")
            assert probe.getresponse().status == 200
        assert service.stop() == 0
        assert "Error" not in service.log.read_text(encoding="utf-8")


def test_what_is_broken_inside_is_in_the_log_and_not_in_the_answer(tmp_path: Path) -> None:
    with served(sqlite(tmp_path)) as service:
        service.start()
        store = Store(service.store)
        store.write(lambda db: db.execute(text("DROP TABLE keys")))
        store.close()
        client = service.client("sagemaker", _made_up())
        with pytest.raises(ClientError) as refusal:
            client.list_device_fleets()
        assert refusal.value.response["Error"]["Code"] == "InternalFailure"
        assert refusal.value.response["Error"]["Message"] == "We encountered an internal error. Please try again."
        assert "no such table: keys" in service.log.read_text(encoding="utf-8")
        assert service.stop() == 0


def _made_up() -> Key:
    return Key(Principal("AKIA", "111111111111", "", Role.ADMIN), "secret")


@pytest.mark.parametrize(
    ("secret", "says"), [("", "No encryption key: set EDGE_MANAGER_SECRET_KEY"), ("short", "32 bytes in base64")]
)
def test_without_an_encryption_key_it_does_not_start(tmp_path: Path, secret: str, says: str) -> None:
    with served(sqlite(tmp_path)) as service:
        service.environment["EDGE_MANAGER_SECRET_KEY"] = secret
        refused = service.run("serve", "--port", "0")
        assert (refused.returncode, says in refused.stderr) == (2, True)
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--store", "sqlite:////none/store.db"],
            "the store /none/store.db cannot be opened: No such file or directory",
        ),
        (["--store", "var/x.db"], "the store var/x.db is no URL: sqlite:////"),
        (["--store", "mysql://x"], "the store mysql is neither SQLite nor PostgreSQL"),
        (
            ["--store", "postgresql://me:hidden@127.0.0.1:9/x"],
            "the store postgresql+psycopg://me:***@127.0.0.1:9/x cannot",
        ),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1, port 4578"),
        (["--secret-key-file", "/none"], "/none: No such file or directory"),
    ],
)
def test_what_it_cannot_start_with_is_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    with served(sqlite(tmp_path)) as service:
        refused = service.run("serve", *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    *_, line = refused.stderr.splitlines()
    assert line.startswith(f"error: {says}")
    assert "Traceback" not in refused.stderr
    assert "hidden" not in refused.stderr


def test_store_belongs_to_one_encryption_key_and_to_its_owner(tmp_path: Path) -> None:
    with served(sqlite(tmp_path)) as service:
        assert service.run("keys", "create", "--role", "admin").returncode == 0
        assert (tmp_path / "store.db").stat().st_mode & 0o777 == 0o600
        service.environment["EDGE_MANAGER_SECRET_KEY"] = Seal.new_key()
        for command in (("serve",), ("keys", "create", "--role", "admin")):
            refused = service.run(*command)
            line = "error: the encryption key is not the one that this store's keys were sealed with"
            assert (refused.returncode, refused.stdout, refused.stderr.splitlines()[-1]) == (2, "", line)
        assert service.run("keys", "list").returncode == 0


def test_a_key_that_is_slower_than_its_rate_is_served_and_a_faster_one_is_slowed_down(tmp_path: Path) -> None:
    with served(sqlite(tmp_path)) as service:
        service.arguments = ("--rate", "0.001", "--burst", "3")
        service.start()
        key = service.key()
        client = service.client("sagemaker", key)
        for _ in range(3):
            client.list_device_fleets()
        with pytest.raises(ClientError) as refusal:
            client.list_device_fleets()
        assert refusal.value.response["Error"]["Code"] == "ThrottlingException"
        service.client("sagemaker", service.key()).list_device_fleets()
        assert service.stop() == 0
