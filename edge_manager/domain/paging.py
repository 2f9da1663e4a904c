"""Pages of List operations. A token says after which item to go on, not how many to skip."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

from edge_manager.domain.texts import is_fit
from edge_manager.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Item = TypeVar("Item")
PAGE = 50
LARGEST = 2**63  # of a number that the store can compare


def page(
    items: Iterable[Item],
    key: Callable[[Item], list[Any]],
    wanted: Mapping[str, Any],
    *,
    size: int = PAGE,
    cap: int | None = None,
    descending: bool = False,
) -> tuple[list[Item], str | None]:
    """The page that was asked for and the token of the next one; `key` must tell any two items apart."""
    ordered = sorted(items, key=key, reverse=descending)
    if token := wanted.get("NextToken"):
        after = decode(token)
        try:
            ordered = [item for item in ordered if (key(item) < after if descending else key(item) > after)]
        except TypeError:  # a token of another operation or order
            raise invalid("Invalid NextToken.") from None
    size = wanted.get("MaxResults") or size
    size = max(1, min(size, cap or size))
    found = ordered[:size]
    return found, encode(key(found[-1])) if len(ordered) > size else None


def encode(key: list[Any]) -> str:
    """The token that says to go on after an item."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def decode(token: str) -> list[Any]:
    """What a token says; one that nobody gave out is refused."""
    try:
        key = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error, RecursionError):
        raise invalid("Invalid NextToken.") from None
    if not isinstance(key, list) or not all(map(_is_position, key)):
        raise invalid("Invalid NextToken.")
    return key


def _is_position(value: Any) -> bool:
    """Whether a token that was given out could say so."""
    if isinstance(value, str):
        return is_fit(value)
    if isinstance(value, int):
        return -LARGEST <= value < LARGEST
    return isinstance(value, float) and math.isfinite(value)
