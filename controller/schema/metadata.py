"""The metadata of a manifest: what kubectl and the API server refuse in that of any object."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.schema.wording import REQUIRED, refused, unknown_field

Wrong = tuple[Sequence[str | int], str]
"""Path below metadata, and what is wrong there."""

_TEXTS = ("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion")
_NUMBERS = ("generation", "deletionGracePeriodSeconds")
_MOMENTS = ("creationTimestamp", "deletionTimestamp")
_MAPS = ("labels", "annotations")
_LISTS = ("ownerReferences", "finalizers", "managedFields")
_FIELDS = (*_TEXTS, *_NUMBERS, *_MOMENTS, *_MAPS, *_LISTS)

_ITEMS: Mapping[str, Mapping[str, bool]] = {
    "ownerReferences": {
        "apiVersion": True, "kind": True, "name": True, "uid": True, "controller": False, "blockOwnerDeletion": False,
    },
    "managedFields": dict.fromkeys(
        ("manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"), False
    ),
}  # fmt: skip

_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})")
_WORD = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_WORD}(\.{_WORD})*")
_DNS_LABEL = re.compile(_WORD)
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LONGEST_SUBDOMAIN, _LONGEST_WORD, _LONGEST_ANNOTATIONS = 253, 63, 256 * 1024


def check_metadata(metadata: Any) -> Iterator[Wrong]:
    """What is wrong with the metadata of an object that is to be applied."""
    if metadata is not None and not isinstance(metadata, dict):
        yield (), refused(metadata, "must be a mapping")
        return
    given = {key: value for key, value in (metadata or {}).items() if value is not None}
    for key in given.keys() - {*_FIELDS}:
        yield (key,), unknown_field(key, _FIELDS)
    yield from _types(given)
    yield from _names(given)
    for key in _MAPS:
        if isinstance(given.get(key), dict):
            yield from _texts(key, given[key])
    yield from _finalizers(_list(given, "finalizers"))
    for key, fields in _ITEMS.items():
        for number, item in enumerate(_list(given, key)):
            yield from _item((key, number), item, fields)


def _types(given: Mapping[str, Any]) -> Iterator[Wrong]:
    for keys, kind, words in (
        (_TEXTS, str, "a string"),
        (_NUMBERS, int, "an integer"),
        (_MOMENTS, str, "a time such as 2026-01-31T12:00:00Z"),
        (_MAPS, dict, "a mapping"),
        (_LISTS, list, "a list"),
    ):
        for key in keys:
            value = given.get(key)
            if value is None:
                continue
            if not isinstance(value, kind) or isinstance(value, bool) or (keys is _MOMENTS and not _is_moment(value)):
                quotes = ": put it in quotes" if words == "a string" and isinstance(value, bool | int | float) else ""
                yield (key,), refused(value, f"must be {words}{quotes}")


def _names(given: Mapping[str, Any]) -> Iterator[Wrong]:
    name, namespace = given.get("name"), given.get("namespace")
    if not name:
        generated = "generateName" in given
        yield (
            ("generateName",) if generated else ("name",),
            "kubectl apply needs metadata.name; a generated name works with kubectl create alone"
            if generated
            else REQUIRED,
        )
    elif isinstance(name, str) and (not _SUBDOMAIN.fullmatch(name) or len(name) > _LONGEST_SUBDOMAIN):
        yield (
            ("name",),
            refused(name, "should be at most 253 small letters, digits, inner hyphens and dots (RFC 1123 subdomain)"),
        )
    if isinstance(namespace, str) and namespace and not _is_dns_label(namespace):
        yield (
            ("namespace",),
            refused(namespace, "should be at most 63 small letters, digits and inner hyphens (RFC 1123 label)"),
        )


def _texts(kind: str, given: Mapping[str, Any]) -> Iterator[Wrong]:
    size = 0
    for key, value in given.items():
        # The prefix of an annotation's key may be in capitals, for the API server's own reasons.
        if fault := _fault_of_key(key.lower() if kind == "annotations" else key):
            yield (kind, key), refused(key, fault)
        if not isinstance(value, str | None):
            yield (kind, key), refused(value, "must be a string: put it in quotes")
            continue
        size += len(key.encode()) + len((value or "").encode())
        if kind == "labels" and value and (not _QUALIFIED.fullmatch(value) or len(value) > _LONGEST_WORD):
            yield (
                (kind, key),
                refused(value, "a label is at most 63 letters, digits, inner hyphens, underscores and dots"),
            )
    if kind == "annotations" and size > _LONGEST_ANNOTATIONS:
        yield (kind,), f"Too long: annotations may have at most {_LONGEST_ANNOTATIONS} bytes together, not {size}"


def _fault_of_key(key: str) -> str | None:
    """Why it is no qualified name, such as `team` or `example.com/team`."""
    prefix, slash, name = key.rpartition("/")
    if not _QUALIFIED.fullmatch(name) or len(name) > _LONGEST_WORD:
        return "a name is at most 63 letters, digits, inner hyphens, underscores and dots, perhaps with a prefix and /"
    if slash and (not _SUBDOMAIN.fullmatch(prefix) or len(prefix) > _LONGEST_SUBDOMAIN):
        return "the prefix before the / must be a domain name"
    return None


def _finalizers(given: Sequence[Any]) -> Iterator[Wrong]:
    for finalizer in given:
        if not isinstance(finalizer, str):
            yield ("finalizers",), refused(finalizer, "must be a string")
        elif fault := _fault_of_key(finalizer):
            yield ("finalizers",), refused(finalizer, fault)
    if {"orphan", "foregroundDeletion"} <= {each for each in given if isinstance(each, str)}:
        yield ("finalizers",), "Invalid value: orphan and foregroundDeletion cannot both be set"


def _item(path: Sequence[str | int], item: Any, fields: Mapping[str, bool]) -> Iterator[Wrong]:
    """An item of a list of mappings; `fields` says of each field whether it is required."""
    if not isinstance(item, dict):
        yield path, refused(item, "must be a mapping")
        return
    for key in item.keys() - fields.keys():
        if item[key] is not None:
            yield (*path, key), unknown_field(key, fields)
    for key, required in fields.items():
        if required and not item.get(key):
            yield (*path, key), REQUIRED


def _list(given: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = given.get(key)
    return value if isinstance(value, list) else ()


def _is_dns_label(text: str) -> bool:
    return bool(_DNS_LABEL.fullmatch(text)) and len(text) <= _LONGEST_WORD


def _is_moment(text: Any) -> bool:
    try:
        return bool(_RFC3339.fullmatch(text)) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
