"""`edgeplan run`: the operator, until SIGTERM or SIGINT."""

import argparse
import logging

import kopf

from controller.operator import settings
from controller.operator.handlers import register
from controller.operator.process import Operator

# A line per watch event, per probe, and where credentials come from with each client.
_CHATTER = (
    "kopf.objects",
    "kopf.activities.probe",
    "aiohttp.access",
    "botocore.credentials",
    "botocore.configprovider",
)


def run(parsed: argparse.Namespace) -> int:
    """Run the operator; 0 once it was told to stop."""
    chosen = settings.from_arguments(parsed)
    kopf.configure(verbose=chosen.verbose, log_format=kopf.LogFormat.JSON if chosen.json_log else kopf.LogFormat.FULL)
    if not chosen.verbose:
        for name in _CHATTER:
            logging.getLogger(name).setLevel(logging.WARNING)
    while True:
        operator, registry = Operator(chosen), kopf.OperatorRegistry()
        register(registry, operator)
        kopf.run(
            registry=registry,
            namespaces=chosen.namespaces,
            clusterwide=not chosen.namespaces,
            standalone=True,
            liveness_endpoint=chosen.liveness,
            stop_flag=operator.deaf,
        )
        if not operator.deaf.is_set():
            return 0
