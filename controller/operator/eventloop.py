"""The event loop in which the operator runs."""

import asyncio
import sys

if sys.platform != "win32":
    import uvloop


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, which takes less CPU for each callback and for TLS; asyncio's own where there is no uvloop."""
    return asyncio.new_event_loop() if sys.platform == "win32" else uvloop.new_event_loop()
