"""A certificate that is renewed while the service runs."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

from tests.edge_manager.processes import served, sqlite
from tests.edge_manager.test_serve import certificate


def test_a_renewed_certificate_is_taken_up_and_half_a_pair_is_not(tmp_path: Path) -> None:
    chain, private = map(Path, certificate(tmp_path))
    (tmp_path / "next").mkdir()
    renewed, its_key = map(Path, certificate(tmp_path / "next"))
    with served(sqlite(tmp_path), arguments=("--tls-cert", str(chain), "--tls-key", str(private))) as service:
        service.start()
        before = chain.read_text()
        address = ("127.0.0.1", service.port)
        assert ssl.get_server_certificate(address, timeout=60) == before
        renewed.rename(chain)  # and its key is not there yet
        _until_logged(service.log, "The new certificate cannot be used")
        assert ssl.get_server_certificate(address, timeout=60) == before
        its_key.rename(private)
        _until_logged(service.log, "The certificate was renewed")
        assert ssl.get_server_certificate(address, timeout=60) == chain.read_text() != before
        assert service.stop() == 0


def _until_logged(log: Path, words: str) -> None:
    deadline = time.monotonic() + 60
    while words not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
