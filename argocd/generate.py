"""Make argocd-cm.yaml from the Lua: `python argocd/generate.py`, or with --check tell whether it is in step."""
# ruff: noqa: INP001 - a script, no package

import argparse
import sys
from pathlib import Path

import yaml

from controller.schema.generated import write_or_check

HERE = Path(__file__).parent
CONFIG_MAP = HERE / "argocd-cm.yaml"
_GROUP, _KIND = "edgeplan.dev", "EdgeDeploymentPlan"
_SCRIPTS = HERE / "resource_customizations" / _GROUP / _KIND
_HEAD = """\
# What Argo CD has to know of EdgeDeploymentPlans: merge it into the argocd-cm of your installation with
#   kubectl patch configmap argocd-cm --namespace argocd --patch-file argocd-cm.yaml
# Generated from resource_customizations/ by generate.py.
"""


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as it reads."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def render() -> str:
    """The ConfigMap as a patch: only our keys."""
    actions = {
        "discovery.lua": _read("actions/discovery.lua"),
        "definitions": [
            {"name": folder.parent.name, "action.lua": _read(f"actions/{folder.parent.name}/action.lua")}
            for folder in sorted(_SCRIPTS.glob("actions/*/action.lua"))
        ],
    }
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "data": {
            f"resource.customizations.health.{_GROUP}_{_KIND}": _read("health.lua"),
            f"resource.customizations.actions.{_GROUP}_{_KIND}": _dump(actions),
        },
    }
    return _HEAD + _dump(config_map)


def _dump(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1000)


def _read(name: str) -> str:
    return (_SCRIPTS / name).read_text(encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is out of date")
    check = parser.parse_args(arguments).check
    return write_or_check({CONFIG_MAP: render()}, check=check, command="python argocd/generate.py")


if __name__ == "__main__":
    sys.exit(main())
