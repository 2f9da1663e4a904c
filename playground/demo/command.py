"""Runs the demo: what can go wrong becomes a message and an exit code, and everything is cleaned up."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Final, Protocol

from rich.console import Console

from playground.cluster import ApiError, ClusterError
from playground.demo.plans import Plans
from playground.demo.view import View
from playground.demo.world import NAMESPACE, REGION, DemoFailedError, World, world
from playground.programs import BuildFailedError, GoMissingError, progress_for

if TYPE_CHECKING:
    from types import FrameType


class Act(Protocol):
    """One act of the demo."""

    def play(self, *, keep: bool) -> None:
        """Play it; raise what shows that a promise was not kept."""


_INTERRUPTED: Final = 130
_EMBEDDED: Final = """\
There is no embedded Kubernetes: none that runs inside Python carries this demo.
kmock 0.8, the one that comes nearest, was tried. It gives objects no uid, creationTimestamp, generation or
resourceVersion (ownership and the order of the quota queue need them), lets a status patch change the spec,
checks nothing against the CRD, and kubectl can neither read from it nor apply to it.

What the demo needs is etcd and kube-apiserver. Any one of these brings them:
  - set KUBEBUILDER_ASSETS to a folder that holds both (the folder that setup-envtest prints is one)
  - install Go 1.26 or newer and run `make demo`: it builds both once, which takes some minutes"""


def run(*, keep: bool, embedded: bool, devices: bool = False) -> int:
    """Play the demo; 0 if everything that it promises has really happened, 1 if not, 2 if it cannot be played."""
    console = Console(highlight=False)
    view = View(console)
    if embedded:
        view.say(_EMBEDDED)
        return 2
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        progress = progress_for(console)
        if devices:
            from playground.demo.devices import Devices  # noqa: PLC0415 - the first act does without the service
            from playground.demo.edge import edge_world  # noqa: PLC0415

            with edge_world(progress) as edge:
                return _play(edge, Devices(edge, view), view, keep=keep)
        with world(progress) as parts:
            return _play(parts, Plans(parts, view), view, keep=keep)
    except (GoMissingError, BuildFailedError) as error:
        view.failed(str(error))
        return 2
    except (ClusterError, DemoFailedError) as error:
        view.failed(str(error))
        return 1
    except KeyboardInterrupt:
        view.say("Interrupted; everything that was started has been stopped.")
        return _INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _play(parts: World, act: Act, view: View, *, keep: bool) -> int:
    try:
        with view.live():
            act.play(keep=keep)
    except (ApiError, ClusterError, DemoFailedError, OSError) as error:
        view.failed(str(error))
        view.log("the end of the operator's log", parts.operator_log())
        return 1
    if keep:
        _wait(parts, view)
    view.say("\nEverything that was promised has happened.")
    return 0


def _wait(parts: World, view: View) -> None:
    view.heading("All of it keeps running until Ctrl-C. In another terminal:")
    access_key, secret = parts.key
    view.say(
        f"export KUBECONFIG={parts.cluster.kubeconfig} AWS_ENDPOINT_URL_SAGEMAKER={parts.aws.url}"
        f" AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION} AWS_ACCESS_KEY_ID={access_key} AWS_SECRET_ACCESS_KEY={secret}"
    )
    view.say(f"kubectl get edp -n {NAMESPACE} -o wide")
    view.say("aws sagemaker list-edge-deployment-plans")
    over = threading.Event()
    try:
        while not over.wait(1):
            parts.require_operator()
    except KeyboardInterrupt:
        return


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
