"""The server's certificate. Whoever renews it replaces the files; the service takes up the new one by itself."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

PERIOD = 5.0  # seconds between looks; a look is two calls of stat
LOG = logging.getLogger(__name__)


class Certificate:
    """A chain and its key, for TLS 1.2 or newer."""

    def __init__(self, chain: str, key: str | None) -> None:
        self._chain, self._key = chain, key
        self._stamp = self._look()
        self.context = self._load(_context())

    async def renew(self) -> None:
        """Load the files again whenever they change: new connections get the new certificate."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                if (stamp := self._look()) == self._stamp:
                    continue
                self._load(_context())  # a try: half of a pair must not reach the context in use
                self._load(self.context)
            except (OSError, ssl.SSLError) as error:  # perhaps in the middle of being replaced
                LOG.warning("The new certificate cannot be used, the one before it is: %s", error)
            else:
                self._stamp = stamp
                LOG.info("The certificate was renewed")

    def _look(self) -> list[tuple[int, int]]:
        found = [Path(file).stat() for file in (self._chain, self._key) if file is not None]
        return [(one.st_mtime_ns, one.st_ino) for one in found]

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.load_cert_chain(self._chain, self._key)
        return context


def _context() -> ssl.SSLContext:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
