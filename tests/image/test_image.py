"""The images, built without a daemon and without a registry: buildah, on a base made by debootstrap.

It takes minutes and reaches Debian's and Python's package servers, so it runs only where EDGEPLAN_TEST_IMAGE says so:
1, or the folder of a root file system with Python 3.11, venv and certificates to use as the base.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.image.test_dockerfile import ROOT, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CERTIFICATES = Path("/etc/ssl/certs")
ASKED_FOR = os.environ.get("EDGEPLAN_TEST_IMAGE", "")

Run: TypeAlias = "Callable[..., str]"

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not ASKED_FOR, reason="takes minutes: set EDGEPLAN_TEST_IMAGE=1"),
    pytest.mark.skipif(not shutil.which("buildah"), reason="needs buildah"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as debootstrap does"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("image")
    yield made
    shutil.rmtree(made, ignore_errors=True)  # some gigabytes


@pytest.fixture(scope="module")
def buildah(folder: Path) -> Run:
    """Buildah with a store of its own."""

    def run(*arguments: str | Path) -> str:
        store = (f"--root={folder / 'store'}", f"--runroot={folder / 'run'}", "--storage-driver=vfs")
        command = ["buildah", *store, *(str(part) for part in arguments)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    return run


@pytest.fixture(scope="module")
def source(buildah: Run, folder: Path) -> Path:
    """A copy of what is built, as the checkout may change meanwhile, beside the base that it is built on."""
    base = folder / "base"
    if Path(ASKED_FOR).is_dir():
        base = Path(ASKED_FOR)
    else:
        packages = "--include=python3,python3-venv,ca-certificates"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", base], check=True, capture_output=True
        )
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, f"{base}/")
    buildah("commit", "--quiet", "--rm", container, "localhost/base")
    # What the machine's own pip trusts, ours has to trust too.
    (folder / "pip.conf").write_text(f"[global]\ncert = {CERTIFICATES / 'ca-certificates.crt'}\n")
    made = folder / "source"
    for name in (*copied(), "Dockerfile", ".dockerignore"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "--archive", ROOT / name, made / name], check=True)
    return made


@pytest.fixture(scope="module", params=["edgeplan", "edge-manager"])
def images(request: pytest.FixtureRequest, buildah: Run, folder: Path, source: Path) -> tuple[str, str, str]:
    """A target, and the same source built twice; the operator's is what a build without a target makes."""
    target = str(request.param)
    arguments = {"BASE": "localhost/base", "VERSION": "9.9.9", "REVISION": "abc", "SOURCE_DATE_EPOCH": "1700000000"}
    built = [f"localhost/{target}-{time}" for time in ("one", "two")]
    for name in built:
        buildah(
            *("build", "--isolation=chroot", "--network=host", "--pull-never", "--no-cache", "--timestamp=1700000000"),
            *(f"--build-arg={key}={value}" for key, value in arguments.items()),
            *(f"--volume={CERTIFICATES}:{CERTIFICATES}:ro", f"--volume={folder / 'pip.conf'}:/etc/pip.conf:ro"),
            *([] if target == "edgeplan" else [f"--target={target}"]),
            *(f"--tag={name}", source),
        )
    return target, built[0], built[1]


def test_same_source_gives_the_same_layers(buildah: Run, images: tuple[str, str, str]) -> None:
    one, two = (described(buildah, image)["rootfs"]["diff_ids"] for image in images[1:])
    assert one == two


def test_image_is_labelled_and_not_roots(buildah: Run, images: tuple[str, str, str]) -> None:
    config = described(buildah, images[1])["config"]
    assert config["User"] == "65532:65532"
    assert config["Labels"]["org.opencontainers.image.title"] == images[0]
    assert config["Labels"]["org.opencontainers.image.version"] == "9.9.9"
    assert config["Labels"]["org.opencontainers.image.revision"] == "abc"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_entrypoint_runs_and_there_is_no_pip(buildah: Run, images: tuple[str, str, str]) -> None:
    entrypoint = described(buildah, images[1])["config"]["Entrypoint"]
    container = buildah("from", images[1])

    def run(*command: str) -> str:
        return buildah("run", "--isolation=chroot", container, "--", *command)

    assert run("id", "-u") == "65532"
    if images[0] == "edgeplan":
        assert run(*entrypoint, "crd").startswith("# Generated by `edgeplan crd`")
        assert "--liveness" in run(*entrypoint, "run", "--help")
        assert run("sh", "-c", "find /opt -name 'edge_manager*' -o -name 'sqlalchemy*'") == ""
    else:
        key = run(*entrypoint, "keys", "secret")
        # The folder of a volume; here it goes with the container.
        store = ("env", f"EDGE_MANAGER_SECRET_KEY={key}", "EDGE_MANAGER_STORE=sqlite:////tmp/store.db", *entrypoint)
        assert '"AccessKeyId": "AKIA' in run(*store, "keys", "create", "--role=admin")
        assert "\tadmin\t" in run(*store, "keys", "list")
        assert "--metrics-port" in run(*entrypoint, "serve", "--help")
        for name in ("serve", "agent.__main__", "sandbox.server"):  # each needs other libraries
            run("python", "-c", f"import edge_manager.{name}")
        assert run("sh", "-c", "find /opt -name 'controller*' -o -name 'kopf*' -o -name 'kubernetes*'") == ""
    assert run("sh", "-c", "command -v pip || echo none") == "none"
    ours = "find / -xdev -path /proc -prune -o -path /tmp -prune -o -writable -type f -print 2>/dev/null | head"
    assert run("sh", "-c", ours) == ""


def described(buildah: Run, image: str) -> dict[str, Any]:
    return dict(json.loads(buildah("inspect", "--type=image", image))["OCIv1"])
