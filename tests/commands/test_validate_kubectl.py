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

    def differs(reading: Reading) -> str | None:
        file = tmp_path / reading.name
        file.write_bytes(reading.data)
        ended = cluster.kubectl("apply", "--dry-run=server", "-f", str(file), check=False)
        accepted = ended.returncode == 0
        return (
            None
            if accepted == reading.accepted or reading.name in LATELY_ACCEPTED
            else f"{reading.name}: {ended.stdout}{ended.stderr}"
        )

    readings = all_readings() if os.environ.get("ALL_READINGS") else given()
    with ThreadPoolExecutor(2) as pool:
        assert [told for told in pool.map(differs, readings) if told] == []
