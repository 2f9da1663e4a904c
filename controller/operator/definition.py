"""Whether the kind is served at all: without its definition Kopf waits, and says nothing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from controller.domain.api import API_VERSION, GROUP, KIND, PLURAL
from controller.engine.ports import ObjectError

logger = logging.getLogger(__name__)

_MISSING = timedelta(seconds=3)  # between two looks while it is not
_THERE = timedelta(minutes=1)


async def watch_definition(served: Callable[[], Awaitable[bool]]) -> None:
    """Say at once that the kind is not served, and when it is; for ever, as a definition may be deleted too."""
    known = True
    while True:
        try:
            now = await served()
        except ObjectError as error:
            logger.debug("%s", error)  # an API server that does not answer is told of elsewhere
        else:
            if known and not now:
                logger.warning(
                    "the CustomResourceDefinition %s.%s is missing: %s of %s is not served, and nothing can be done "
                    "until it is; install it by `edgeplan crd | kubectl apply --server-side -f -`, or by the chart "
                    "with crds.enabled",
                    *(PLURAL, GROUP, KIND, API_VERSION),
                )
            elif now and not known:
                logger.info("the CustomResourceDefinition %s.%s is there now", PLURAL, GROUP)
            known = now
        await asyncio.sleep((_THERE if known else _MISSING).total_seconds())
