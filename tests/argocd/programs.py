"""Where the real Argo CD is: in KUBEBUILDER_ASSETS, the cache or PATH; without it these tests skip."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from controller.sandbox.programs import ASSETS_VARIABLE, cache_folder

VERSION = "v3.5.3"
_MODULE = f"github.com/argoproj/argo-cd/v3@{VERSION}"


def argocd() -> Path:
    """The one binary of Argo CD."""
    for folder in (os.environ.get(ASSETS_VARIABLE), cache_folder()):
        if folder and os.access(path := Path(folder).absolute() / "argocd", os.X_OK):
            return path
    on_path = shutil.which("argocd")
    if on_path is None:
        pytest.skip(
            f"there is no argocd {VERSION} in KUBEBUILDER_ASSETS, the cache or PATH; "
            "docs/argocd.md says how to build it once (12 minutes of one processor)"
        )
    return Path(on_path)


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
