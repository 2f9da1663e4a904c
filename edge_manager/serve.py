"""`edge-manager serve`: the service, until it is told to stop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edge_manager.api.http import Options, run
from edge_manager.domain.rules import Rules
from edge_manager.keys import secret_key

if TYPE_CHECKING:
    import argparse


def serve(parsed: argparse.Namespace) -> int:
    """Run the service until SIGTERM or SIGINT."""
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
