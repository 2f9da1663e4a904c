"""Filters, order and pages of the List operations. A token says after which item to go on, not how many to skip."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, TypeVar

from edge_manager.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Item = TypeVar("Item")


def page(
    items: Iterable[Item],
    key: Callable[[Item], list[Any]],
    parameters: Mapping[str, Any],
    *,
    size: int,
    cap: int | None,
    descending: bool = False,
) -> tuple[list[Item], str | None]:
    """The page that was asked for and the token of the next one; `key` must tell any two items apart."""
    ordered = sorted(items, key=key, reverse=descending)
    token = parameters.get("NextToken")
    if token:
        after = _decode(token)
        try:
            ordered = [item for item in ordered if (key(item) < after if descending else key(item) > after)]
        except TypeError:  # a token of another operation or order
            raise invalid("Invalid NextToken.") from None
    size = parameters.get("MaxResults") or size
    size = max(1, min(size, cap or size))
    found = ordered[:size]
    return found, _encode(key(found[-1])) if len(ordered) > size else None


def between(value: float, parameters: Mapping[str, Any], name: str) -> bool:
    """Whether a time lies within the request's `<name>After` and `<name>Before`."""
    after, before = parameters.get(f"{name}After"), parameters.get(f"{name}Before")
    return (after is None or value > after) and (before is None or value < before)


def _encode(key: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _decode(token: str) -> list[Any]:
    try:
        key = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error):
        raise invalid("Invalid NextToken.") from None
    if not isinstance(key, list):
        raise invalid("Invalid NextToken.")
    return key
