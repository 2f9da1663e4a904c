"""The pull request for Argo CD's own repository, as docs/argocd.md makes it, and Argo CD's own tests over it.

The tests compile a good part of Argo CD (some five minutes of one processor the first time): `make upstream`.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from argocd import generate
from tests.argocd.programs import source
from tests.argocd.system import ROOT
from tests.argocd.test_lua import ACTIONS, HEALTH

OURS = "resource_customizations/edgeplan.dev/EdgeDeploymentPlan"
CHANGED = ("util/lua/custom_actions_test.go", "docs/operator-manual/resource_actions_builtin.md")


def files(folder: Path) -> dict[str, bytes]:
    """The files below a folder, with what is in them."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the pull request touches of Argo CD's repository."""
    for name in CHANGED:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes((source() / name).read_bytes())
    return tmp_path


def test_pull_request_adds_its_folder_a_case_and_three_lines(checkout: Path) -> None:
    before = files(checkout)
    assert generate.main(["--into", str(checkout)]) == 0
    after = files(checkout)
    scripts = Path(generate.__file__).parent / OURS
    assert {name for name in after if after[name] != before.get(name)} == {
        *CHANGED,
        *(f"{OURS}/{name}" for name in files(scripts)),
    }
    tests, listed = (
        [line for line in after[name].decode().splitlines() if line not in before[name].decode().splitlines()]
        for name in CHANGED
    )
    assert '\tcase "edgeplan.dev":' in tests
    assert [line.partition("]")[0] for line in listed] == [
        f"- [edgeplan.dev/EdgeDeploymentPlan/{action}" for action in sorted(ACTIONS)
    ]
    for name in CHANGED:  # nothing of theirs is gone
        assert set(before[name].splitlines()) <= set(after[name].splitlines())
    assert generate.main(["--into", str(checkout)]) == 0
    assert files(checkout) == after


@pytest.mark.skipif(not os.environ.get("EDGEPLAN_TEST_ARGOCD_UPSTREAM"), reason="compiles Argo CD: make upstream")
@pytest.mark.timeout(3600)
def test_argo_cds_own_tests_pass_with_the_pull_request(tmp_path: Path) -> None:
    upstream, module = tmp_path / "argo-cd", tmp_path / "module"
    shutil.copytree(source(), upstream, ignore=shutil.ignore_patterns("ui"))
    for path in upstream.rglob("*"):  # the module cache is read-only
        path.chmod(0o755 if path.is_dir() else 0o644)
    generate.main(["--into", str(upstream)])
    module.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(ROOT / "playground" / "programs" / "argocd" / name, module / name)
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    package = "github.com/argoproj/argo-cd/v3"
    subprocess.run(["go", "mod", "edit", f"-replace={package}={upstream}"], cwd=module, env=environment, check=True)
    done = subprocess.run(
        ["go", "test", f"{package}/util/lua", "-v", "-run", "TestLuaHealthScript|TestLuaResourceActionsScript"],
        cwd=module,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    for name in HEALTH:
        assert f"--- PASS: TestLuaHealthScript/edgeplan.dev/EdgeDeploymentPlan/testdata/{name}.yaml" in done.stdout
    for action, (before, _, _) in ACTIONS.items():
        assert f"--- PASS: TestLuaResourceActionsScript/actions/{action}/testdata/{before}.yaml" in done.stdout
