"""A real Kubernetes API on this machine: etcd and kube-apiserver on loopback, gone without a trace when closed.

The demo, `python -m playground cluster` and the tests use it. There are no nodes and, unless asked for, no controllers:
objects are stored, validated, watched and authorised exactly as anywhere else, but no pod ever runs.
"""

from __future__ import annotations

from playground.cluster.access import Cluster, ClusterError
from playground.cluster.audit import Write
from playground.cluster.client import ApiClient, ApiError
from playground.cluster.command import run
from playground.cluster.local import LocalCluster

__all__ = ["ApiClient", "ApiError", "Cluster", "ClusterError", "LocalCluster", "Write", "run"]
