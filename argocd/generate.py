"""Make argocd-cm.yaml from the Lua: `python argocd/generate.py`, or with --check tell whether it is in step.

`--into FOLDER` makes a pull request of it instead, in a checkout of Argo CD's own repository.
"""
# ruff: noqa: INP001 - a script, no package

import argparse
import shutil
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


# What the pull request changes beside its own folder. Argo CD's tests compare what an action makes of an object; of each
# action that writes the time of day they know which annotation that is.
_UPSTREAM_TESTS = "util/lua/custom_actions_test.go"
_NORMALIZED = """\
	case "edgeplan.dev":
		if un.GetKind() == "EdgeDeploymentPlan" {
			// Only what the action reconcile writes: the others must leave the annotations as they are.
			annotations := un.GetAnnotations()
			if _, found := annotations["edgeplan.dev/reconcile-requested-at"]; found {
				annotations["edgeplan.dev/reconcile-requested-at"] = "0001-01-01T00:00:00Z"
				un.SetAnnotations(annotations)
			}
		}
"""
_BEFORE = '\tcase "external-secrets.io":\n'
_UPSTREAM_LIST = "docs/operator-manual/resource_actions_builtin.md"
_UPSTREAM_URL = "https://github.com/argoproj/argo-cd/blob/master/resource_customizations"


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


def pull_request(checkout: Path) -> None:
    """Bring health and actions into a checkout of Argo CD; a second time changes nothing."""
    target = checkout / "resource_customizations" / _GROUP / _KIND
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(_SCRIPTS, target)
    tests = checkout / _UPSTREAM_TESTS
    text = tests.read_text(encoding="utf-8")
    if _NORMALIZED not in text:
        if text.count(_BEFORE) != 1:
            raise ValueError(f"{tests} has changed: {_BEFORE.strip()} is not there once")
        tests.write_text(text.replace(_BEFORE, _NORMALIZED + _BEFORE), encoding="utf-8")
    listed = checkout / _UPSTREAM_LIST
    ours = {
        f"- [{_GROUP}/{_KIND}/{name}]({_UPSTREAM_URL}/{_GROUP}/{_KIND}/actions/{name}/action.lua)"
        for name in (folder.parent.name for folder in _SCRIPTS.glob("actions/*/action.lua"))
    }
    lines = sorted({*listed.read_text(encoding="utf-8").splitlines(), *ours})
    listed.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is out of date")
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="a checkout of Argo CD; make the pull request there"
    )
    parsed = parser.parse_args(arguments)
    if parsed.into is not None:
        pull_request(parsed.into)
        return 0
    check = parsed.check
    return write_or_check({CONFIG_MAP: render()}, check=check, command="python argocd/generate.py")


if __name__ == "__main__":
    sys.exit(main())
