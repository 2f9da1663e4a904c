"""`python -m playground.programs NAME...`: find or build them and print where they are.

`make test` runs it first, so that a build is seen and does not count into the time of a test.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from playground.programs import PROGRAMS, BuildFailedError, GoMissingError, find_or_build

if TYPE_CHECKING:
    from types import FrameType


def main(names: list[str]) -> int:
    """Print the paths of the named programs, all of them if none is named."""
    unknown = [name for name in names if name not in PROGRAMS]
    if unknown:
        sys.stderr.write(f"error: unknown: {', '.join(unknown)}; known: {', '.join(PROGRAMS)}\n")
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        for path in find_or_build(names or list(PROGRAMS)).values():
            sys.stdout.write(f"{path}\n")
    except (GoMissingError, BuildFailedError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; the next run goes on from here.\n")
        return 130
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
