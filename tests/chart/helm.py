"""Real Helm, with nothing of the user's own settings."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from playground.programs import find_or_build

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "edgeplan"


class Helm:
    """Helm on one cluster, or on none."""

    def __init__(self, home: Path, kubeconfig: Path | None = None) -> None:
        self.environment = {
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
            "KUBECONFIG": str(kubeconfig or os.devnull),
        }
        self._program = find_or_build(["helm"])["helm"]

    def __call__(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(part) for part in (self._program, *arguments)],
            env={**os.environ, **self.environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"helm {arguments}: {done.stderr}{done.stdout}"
        return done

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self(*arguments, "--output=json").stdout)

    def template(self, *arguments: str | Path) -> list[dict[str, Any]]:
        """The objects of a release `edgeplan` in namespace `edgeplan-system`."""
        text = self("template", "edgeplan", CHART, "--namespace=edgeplan-system", *arguments).stdout
        return [body for body in yaml.safe_load_all(text) if body]


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [body for body in objects if body["kind"] == kind]
