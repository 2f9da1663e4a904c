"""`edgeplan run`: the operator, until SIGTERM or SIGINT.

What is wrong with the configuration is found before Kopf starts: one line and exit code 2. An API server that is down is
waited for.
"""

import asyncio
import logging
import signal
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import click
import kopf

from controller.aws.accounts_file import read_accounts, read_own_account
from controller.aws.redaction import RedactingFilter
from controller.cluster.arrival import call_on_cluster
from controller.engine.ports import ObjectError
from controller.operator import eventloop, settings
from controller.operator.audit import AuditLog
from controller.operator.garbage import leave_all_alone, survivors_left_alone
from controller.operator.handlers import StartFailed, WatchLost, register
from controller.operator.logs import ContextFilter, own_version
from controller.operator.process import Operator
from controller.operator.settings import Settings
from controller.operator.tracing import check_tracing

logger = logging.getLogger(__name__)

DONE, TROUBLE = 0, 2
_PAUSES = (1, 2, 3, 5, 8, 10)  # seconds between two calls on the API server; the last one repeats

# A line per watch event and per probe, and where credentials come from with each client.
_CHATTER = (
    "kopf.objects",
    "kopf.activities.probe",
    "aiohttp.access",
    "botocore.configprovider",
)
# What they warn of is told in a line of our own: that there is no kubeconfig, a traceback for each role not assumed.
_WARNERS = ("kubernetes.aio.config", "botocore.credentials")


def _option(flag: settings.Flag) -> click.Option:
    # Values are read by `settings`, which tells of a bad one in a line; click would tell how to use the command.
    if flag.is_switch:
        return click.Option([flag.name, flag.field], is_flag=True, flag_value="true", default=None, help=flag.told)
    return click.Option(
        [flag.name, flag.field], metavar=flag.metavar, multiple=flag.is_repeated, default=None, help=flag.told
    )


def _run(**given: Any) -> int:
    """Run the operator until SIGTERM or SIGINT.

    Exit code 0: it was told to stop, 2: its configuration makes no sense.
    """
    try:
        chosen = settings.from_flags(given)
        _log(chosen)
        _check(chosen)
    except ValueError as error:
        return _refused(error)
    while True:
        try:
            if not asyncio.run(_await_cluster(chosen)):
                return DONE
        except ObjectError as error:
            return _refused(error)
        logger.info("edgeplan %s starts; it works as soon as it says for which cluster it acts", own_version())
        try:
            with survivors_left_alone():
                restarts = _operate(chosen)
        except StartFailed as error:
            return _refused(error.__cause__ or error)
        if not restarts:
            leave_all_alone()
            return DONE


run = click.Command("run", callback=_run, help=_run.__doc__, params=[_option(flag) for flag in settings.flags()])


def _refused(error: BaseException) -> int:
    sys.stderr.write(f"error: {error}\n")
    return TROUBLE


def _operate(chosen: Settings) -> bool:
    """Run one operator to its end; whether another is wanted."""
    operator, registry = Operator(chosen), kopf.OperatorRegistry()
    register(registry, operator)
    try:
        with asyncio.Runner(loop_factory=eventloop.new_event_loop) as runner:
            runner.run(
                kopf.operator(
                    registry=registry,
                    namespaces=chosen.namespaces,
                    clusterwide=not chosen.namespaces,
                    standalone=True,
                    liveness_endpoint=chosen.liveness,
                    stop_flag=operator.deaf,
                )
            )
    except WatchLost as error:
        logger.warning("the definition went while it was watched (%s); starting again", error)
        time.sleep(_PAUSES[0])
        return True
    return operator.restarts


def _log(chosen: Settings) -> None:
    """Set up the log: `verbose` is about our own records, as botocore's show requests with all that is secret in them."""
    form = kopf.LogFormat.JSON if chosen.log_format == "json" else kopf.LogFormat.FULL
    kopf.configure(verbose=False, log_format=form)
    for name in _CHATTER:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _WARNERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("controller").setLevel(logging.DEBUG if chosen.verbose else logging.INFO)
    # What no format of ours shows: a third of what a record costs. Python's guide to logging says so under "Optimization".
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - the documented switch
    for handler in logging.getLogger().handlers:
        handler.addFilter(ContextFilter())
        handler.addFilter(RedactingFilter())


def _check(chosen: Settings) -> None:
    """Find out now what would else end the operator later.

    Raises:
        ValueError: a file is not of its form, settings contradict each other, a port is not to be had, or OpenTelemetry is
            asked for and not there.

    """
    if chosen.shards > 1 and chosen.lease is None:
        raise ValueError(f"--shards {chosen.shards} needs --lease: without it every operator would act for all of them")
    extra = chosen.aws_extra_regions
    read_accounts(chosen.accounts_file, extra)
    read_own_account(chosen.own_account_file, regions=chosen.aws_regions, region=chosen.aws_region, extra_regions=extra)
    if chosen.audit_log is not None:
        AuditLog(chosen.audit_log).close()
    if chosen.tracing:
        check_tracing()
    if chosen.liveness is not None:
        _check_liveness(chosen.liveness)
    if chosen.metrics_port:
        _check_port(f"--metrics-port {chosen.metrics_port}", "", chosen.metrics_port)


def _check_liveness(url: str) -> None:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"--liveness {url}: {error}") from error
    if parts.scheme != "http" or not host or not port:
        raise ValueError(f"--liveness {url} is not of the form http://0.0.0.0:8080/healthz")
    _check_port(f"--liveness {url}", host, port)


def _check_port(flag: str, host: str, port: int) -> None:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise ValueError(f"{flag}: {error.strerror or error}") from error


async def _await_cluster(chosen: Settings) -> bool:
    """Whether the API server answers by now; False if the operator was told to stop while it did not."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)  # as process 1 of a container it has no effect otherwise
    try:
        for attempt in range(sys.maxsize):
            trouble = await call_on_cluster(identify=chosen.cluster_id is None)
            if trouble is None:
                return True
            pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
            logger.warning("%s; trying again in %d s", trouble, pause)
            try:
                await asyncio.wait_for(told.wait(), pause)
            except TimeoutError:
                continue
            break
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    return False
