"""Where the real Argo CD is: in KUBEBUILDER_ASSETS or the cache; without it these tests skip."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from playground.programs import find

VERSION = "v3.5.3"
_MODULE = f"github.com/argoproj/argo-cd/v3@{VERSION}"


def argocd() -> Path:
    """The one binary of Argo CD."""
    found = find(["argocd"])
    if not found:
        pytest.skip(
            f"argocd {VERSION} is neither in KUBEBUILDER_ASSETS nor in the cache; to build it once (12 minutes of one "
            "processor): python -m playground.programs argocd"
        )
    return found["argocd"]


def source() -> Path:
    """Argo CD's source, for its CRDs and default configuration: from the Go module cache, fetched once."""
    if shutil.which("go") is None:
        pytest.skip(f"Argo CD's CRDs come from its Go module {_MODULE}, and there is no Go on this machine")
    done = subprocess.run(
        ["go", "mod", "download", "-json", _MODULE],
        cwd="/",
        env={**os.environ, "GOFLAGS": "", "GOWORK": "off"},
        text=True,
        capture_output=True,
        check=False,
    )
    answer = json.loads(done.stdout or "{}")
    if done.returncode != 0:
        pytest.skip(f"Argo CD's Go module {_MODULE} cannot be had: {answer.get('Error') or done.stderr}")
    return Path(answer["Dir"])
