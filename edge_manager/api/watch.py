"""What the service tells of itself while it works, to whoever counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_manager.store.devices import Beat, Fetch


class Watch:
    """Counts nothing; `metrics.Metrics` does. Whatever is told here is on disk or was refused."""

    def called(self, operation: str, code: str, seconds: float) -> None:
        """A call was answered."""

    def heard(self, item: Beat | Fetch, *, is_news: bool) -> None:
        """A device's heartbeat or fetch was written; `is_news` where it moved a deployment on."""

    def grouped(self, size: int) -> None:
        """So many writes of devices shared a commit."""
