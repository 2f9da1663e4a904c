"""`edge-manager serve`: the service, until it is told to stop."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from edge_manager.api.http import Options, run
from edge_manager.domain.rules import Rules
from edge_manager.errors import ConfigurationError
from edge_manager.keys import secret_key

if TYPE_CHECKING:
    import argparse

LARGEST_PORT = 65535


def serve(parsed: argparse.Namespace) -> int:
    """Run the service until SIGTERM or SIGINT."""
    _check(parsed)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("alembic", "botocore", "boto3"):  # botocore logs credentials at DEBUG
        logging.getLogger(name).setLevel(logging.WARNING)
    run(
        Options(
            store=parsed.store,
            secret_key=secret_key(parsed),
            host=parsed.host,
            port=parsed.port,
            rules=Rules(parsed.quota, parsed.connected_within),
            max_body=parsed.max_body,
            rate=parsed.rate or None,
            burst=parsed.burst,
            tls_cert=parsed.tls_cert,
            tls_key=parsed.tls_key,
            metrics_port=parsed.metrics_port,
        )
    )
    return 0


def _check(parsed: argparse.Namespace) -> None:
    """Refuse options that make no sense, before anything is opened."""
    if (parsed.tls_cert is None) != (parsed.tls_key is None):
        raise ConfigurationError("--tls-cert and --tls-key go together.")
    for name, port in (("--port", parsed.port), ("--metrics-port", parsed.metrics_port)):
        if port is not None and not 0 <= port <= LARGEST_PORT:
            raise ConfigurationError(f"{name} {port} is no port: 0 to {LARGEST_PORT} are.")
    if parsed.metrics_port == parsed.port != 0:
        raise ConfigurationError(f"--metrics-port {parsed.port} is the API's --port: it needs one of its own.")
    if not 0 <= parsed.rate < math.inf:
        raise ConfigurationError(f"--rate {parsed.rate} is no number of calls a second; 0 means no limit.")
    if not 0 < parsed.connected_within < math.inf:
        raise ConfigurationError(f"--connected-within {parsed.connected_within} is no number of seconds above 0.")
    for name, value, least in (
        ("--burst", parsed.burst, 1),
        ("--max-body", parsed.max_body, 1),
        ("--quota", parsed.quota, 0),
    ):
        if value is not None and value < least:
            raise ConfigurationError(f"{name} {value} is too small: it is at least {least}.")
