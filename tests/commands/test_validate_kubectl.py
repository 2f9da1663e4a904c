"""The verdicts that `edgeplan validate` is held to are kubectl's: asked at the real API server.

The files of manifests/ each time; with ALL_READINGS=1 some 340 more, which takes a minute.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from playground.cluster import Cluster
from tests.argocd.system import wait_served
from tests.commands.readings import LATELY_ACCEPTED, Reading, all_readings, given


def test_kubectl_accepts_and_refuses_what_was_recorded(cluster: Cluster, tmp_path: Path) -> None:
    cluster.kubectl("apply", "--server-side", "-f", str(Path(__file__).parents[2] / "crds"))
    wait_served(cluster, "edgeplan.dev/v1alpha1", {"edgedeploymentplans"})

    def apply(*readings: Reading) -> tuple[bool, str]:
        files = []
        for reading in readings:
            (tmp_path / reading.name).write_bytes(reading.data)
            files.append(f"--filename={tmp_path / reading.name}")
        ended = cluster.kubectl("apply", "--dry-run=server", *files, check=False)
        return ended.returncode == 0, f"{[reading.name for reading in readings]}: {ended.stdout}{ended.stderr}"

    readings = all_readings() if os.environ.get("ALL_READINGS") else given()
    accepted, told = apply(*(one for one in readings if one.accepted and one.name not in LATELY_ACCEPTED))
    assert accepted, told
    with ThreadPoolExecutor(2) as pool:
        refused = pool.map(apply, (one for one in readings if not one.accepted))
        assert [told for taken, told in refused if taken] == []
