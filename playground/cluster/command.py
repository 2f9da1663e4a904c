"""`python -m playground cluster`: a Kubernetes API to play with, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

from playground.cluster.access import ClusterError
from playground.cluster.local import LocalCluster
from playground.programs import BuildFailedError, GoMissingError

if TYPE_CHECKING:
    from types import FrameType


def run(*, controller_manager: bool = False) -> int:
    """Start a cluster, print the line that points kubectl at it, and keep it until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with LocalCluster(controller_manager=controller_manager) as cluster:
            print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)  # noqa: T201 - the result, for eval
            print("Running until Ctrl-C.", file=sys.stderr)  # noqa: T201
            threading.Event().wait()
    except (ClusterError, GoMissingError, BuildFailedError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
