"""Labels of namespaces: the newest version counts, in whatever order they come."""

from typing import Any

from kubernetes.aio import client

from controller.cluster.namespaces import Namespaces


def named(version: int, **labels: str) -> dict[str, Any]:
    return {"name": "retail", "resourceVersion": str(version), "labels": labels or None}


def nothing_known() -> Namespaces:
    return Namespaces(client.ApiClient.__new__(client.ApiClient))


def test_only_other_labels_are_news() -> None:
    namespaces = nothing_known()
    assert namespaces.seen(named(1, team="retail"))
    assert not namespaces.seen(named(2, team="retail"))
    assert namespaces.seen(named(3))
    assert namespaces.labels("retail") == {}


def test_an_older_version_that_comes_late_changes_nothing() -> None:
    namespaces = nothing_known()
    namespaces.seen(named(10, team="retail"))
    assert not namespaces.seen(named(9))
    assert namespaces.labels("retail") == {"team": "retail"}


def test_a_namespace_that_is_not_known_has_no_labels_and_one_that_went_neither() -> None:
    namespaces = nothing_known()
    assert namespaces.labels("retail") == {}
    namespaces.seen(named(1, team="retail"))
    namespaces.gone("retail")
    assert namespaces.labels("retail") == {}
