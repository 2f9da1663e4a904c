"""What is wrong with a value, worded as the API server words it, with what to write instead of a raw pattern."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from controller.domain.base import Model
from controller.domain.spec import DURATION_PATTERN, ENTITY_NAME_PATTERN, TAG_PATTERN

REQUIRED = "Required value"
_MEANT = re.compile(r": did you mean (\w+)\?$")

_INSTEAD: Mapping[str, str] = {
    ENTITY_NAME_PATTERN: "letters, digits and inner hyphens, such as store-cameras-7",
    DURATION_PATTERN: "a duration such as 90s, 30m or 24h",
    TAG_PATTERN: "letters, digits, blanks and any of _ . : / = + - @",
}
_INSTEAD_AT: Mapping[tuple[str, ...], str] = {
    ("target", "account"): "small letters, digits and inner hyphens, such as retail-2",
    ("target", "region"): "an AWS region such as eu-west-1",
}
_KINDS: Mapping[str, str] = {
    "string_type": "a string",
    "int_type": "an integer",
    "bool_type": "a boolean, true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def field_name(path: Sequence[str | int]) -> str:
    """The path in the API server's spelling."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def refused(value: Any, text: str) -> str:
    """A value that is refused, and why. Lists and mappings are not repeated."""
    return (
        f"Invalid value: {json.dumps(value, ensure_ascii=False)}: {text}" if _short(value) else f"Invalid value: {text}"
    )


def unsupported(value: Any, supported: Iterable[str]) -> str:
    """A value that is none of a few."""
    supported = tuple(supported)
    known = ", ".join(json.dumps(each) for each in supported)
    return f"Unsupported value: {json.dumps(value, ensure_ascii=False)}: supported values: {known}" + did_you_mean(
        value, supported
    )


def unknown_field(name: str, known: Iterable[str]) -> str:
    """A field that is not there, and the one that may have been meant."""
    return f"unknown field{did_you_mean(name, known)}"


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """`: did you mean x?`, or nothing where nothing known is close."""
    by_letters = {_letters(each): each for each in known}
    close = get_close_matches(_letters(str(name)), by_letters, n=1, cutoff=0.75)
    return f": did you mean {by_letters[close[0]]}?" if close and by_letters[close[0]] != name else ""


def all_wrong(details: Sequence[Any], model: type[Model]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """All of pydantic's errors about the fields of a model: where, and in those words.

    A misspelt field is one thing wrong, not two: the one that is missing is told of by the one that is unknown.
    """
    told = [(detail, wrong(detail, model)) for detail in details]
    missing = {detail["loc"] for detail in details if detail["type"] == "missing"}
    meant = {
        (*detail["loc"][:-1], match[1])
        for detail, text in told
        if detail["type"] == "extra_forbidden" and (match := _MEANT.search(text))
    }
    for detail, text in told:
        if detail["loc"] in missing & meant:
            continue
        both = (match := _MEANT.search(text)) and (*detail["loc"][:-1], match[1]) in missing
        yield detail["loc"], f"{text.removesuffix('?')}, which is required?" if both else text


def wrong(detail: Any, model: type[Model]) -> str:
    """One of pydantic's errors about the fields of a model, in those words."""
    kind, value, told = detail["type"], detail["input"], detail.get("ctx", {})
    loc = detail["loc"]
    if kind == "missing":
        return REQUIRED
    if kind == "extra_forbidden":
        return unknown_field(loc[-1], _known_at(model, loc[:-1]))
    if kind == "string_pattern_mismatch":
        names = tuple(part for part in loc if isinstance(part, str))
        pattern = told["pattern"]
        return refused(value, f"should be {_INSTEAD_AT.get(names) or _INSTEAD.get(pattern) or pattern}")
    if kind in _KINDS:
        return refused(value, f"must be {_KINDS[kind]}{_quoted(kind, value)}")
    return _out_of_bounds(kind, value, told) or f"Invalid value: {detail['msg']}"


def _out_of_bounds(kind: str, value: Any, told: Mapping[str, Any]) -> str | None:
    match kind:
        case "literal_error":
            return unsupported(value, _choices(told["expected"]))
        case "string_too_short":
            return refused(value, f"should be at least {_count(told['min_length'], 'character')} long")
        case "string_too_long":
            return f"Too long: at most {told['max_length']} characters, not {len(value)}"
        case "too_long":
            return f"Too many: at most {told['max_length']}, not {told['actual_length']}"
        case "greater_than_equal":
            return refused(value, f"should be greater than or equal to {told['ge']}")
        case "less_than_equal":
            return refused(value, f"should be less than or equal to {told['le']}")
        case _:
            return None


def _known_at(model: type[Model], path: Sequence[str | int]) -> list[str]:
    """The fields that a model has at a path."""
    here: Any = model
    for part in path:
        if isinstance(part, str):
            here = next(field.annotation for field in here.model_fields.values() if field.alias == part)
        here = _model_in(here)
    return [field.alias or name for name, field in here.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    """The model in `tuple[Model, ...] | None` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    found = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((each for each in found if each is not None), None)


def _choices(expected: str) -> list[str]:
    """The parts of `'A', 'B' or 'C'`, as pydantic tells them."""
    return [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]


def _quoted(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return f": put it in quotes, {json.dumps(json.dumps(value))}"
    return ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def _short(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) or value is None
