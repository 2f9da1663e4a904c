"""AWS JSON 1.1 by botocore's service model: bytes to checked parameters, results to bytes.

Each shape is compiled to a function once, so that a request costs dictionary look-ups and matches of compiled patterns.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import botocore.session

from edge_manager.domain.texts import LONGEST_QUOTE, is_fit, shortened
from edge_manager.errors import MODELLED, ApiError, constraints, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Parse = Callable[[Any, str, list[str]], Any]

CONTENT_TYPE = "application/x-amz-json-1.1"
TARGET_PREFIX = "SageMaker."

# What the model leaves open, and no client or database goes beyond; a day short of datetime's own bounds for time zones.
RANGES: dict[str, tuple[float, float]] = {
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "float": (-1e38, 1e38),
    "double": (-1e308, 1e308),
    "timestamp": (datetime(1, 1, 2, tzinfo=UTC).timestamp(), datetime(9999, 12, 30, tzinfo=UTC).timestamp()),
}

# Java's classes in Python's: \w is letters, digits and the underscore, which these patterns all list anyway.
JAVA_CLASSES = {r"\p{L}": r"\w", r"\p{N}": "", r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"}


def parser(shape: Any) -> Parse:
    """A function that checks a JSON value against a shape and returns it without what the model does not know."""
    kinds: dict[str, Callable[[Any], Parse]] = {"structure": _structure, "list": _list, "string": _string}
    return kinds.get(shape.type_name, _scalar)(shape)


def _structure(shape: Any) -> Parse:
    required = frozenset(shape.required_members)
    members = [
        (name, name[0].lower() + name[1:], name in required, parser(member)) for name, member in shape.members.items()
    ]

    def parse(value: Any, path: str, violations: list[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _unexpected(value, "Structure")
        prefix = f"{path}." if path else ""
        found = {}
        for name, label, is_required, parse_member in members:
            member = value.get(name)
            if member is not None:
                found[name] = parse_member(member, prefix + label, violations)
            elif is_required:
                violations.append(
                    f"Value null at '{prefix}{label}' failed to satisfy constraint: Member must not be null"
                )
        return found

    return parse


def _list(shape: Any) -> Parse:
    parse_item = parser(shape.member)
    check_size = _bounds(shape, "have length")

    def parse(value: Any, path: str, violations: list[str]) -> list[Any]:
        if not isinstance(value, list):
            raise _unexpected(value, "List")
        check_size(len(value), value, path, violations)
        return [parse_item(item, f"{path}.{number}.member", violations) for number, item in enumerate(value, 1)]

    return parse


def _string(shape: Any) -> Parse:
    check_size = _bounds(shape, "have length")
    pattern, compiled = shape.metadata.get("pattern"), pattern_of(shape)
    options = shape.metadata.get("enum")

    def parse(value: Any, path: str, violations: list[str]) -> str:
        if not isinstance(value, str):
            raise _unexpected(value, "String")
        if not is_fit(value):
            raise invalid(f"Value at '{path}' has U+0000 or half of a surrogate pair in it.")
        if options is not None and value not in options:
            violations.append(_violation(value, path, f"satisfy enum value set: [{', '.join(options)}]"))
        check_size(len(value), value, path, violations)
        if compiled is not None and not compiled.fullmatch(value):
            violations.append(_violation(value, path, f"satisfy regular expression pattern: {pattern}"))
        return value

    return parse


def _scalar(shape: Any) -> Parse:
    check_value = _bounds(shape, "have value")
    kind = shape.type_name
    types: dict[str, tuple[type, ...]] = {
        "integer": (int,),
        "long": (int,),
        "boolean": (bool,),
        "timestamp": (int, float),
        "float": (int, float),
        "double": (int, float),
    }
    wanted = types[kind]  # a shape of another kind is one that no operation here has

    def parse(value: Any, path: str, violations: list[str]) -> Any:
        number: Any = value  # mypy would narrow `value` to object
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "boolean"):
            raise _unexpected(value, kind.capitalize())
        if kind != "boolean":
            low, high = RANGES[kind]
            if not low <= number <= high:  # neither is what is no number
                raise invalid(f"Value at '{path}' is out of the range of a {kind}.")
            check_value(number, value, path, violations)
        return value

    return parse


def _bounds(shape: Any, verb: str) -> Callable[[float, Any, str, list[str]], None]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")

    def check(size: float, value: Any, path: str, violations: list[str]) -> None:
        if low is not None and size < low:
            violations.append(_violation(value, path, f"{verb} greater than or equal to {low}"))
        if high is not None and size > high:
            violations.append(_violation(value, path, f"{verb} less than or equal to {high}"))

    return check


def pattern_of(shape: Any) -> re.Pattern[str] | None:
    """The shape's pattern, translated from Java's dialect."""
    pattern = shape.metadata.get("pattern")
    if pattern is None:
        return None
    for java, python in JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def _violation(value: Any, path: str, constraint: str) -> str:
    shown = shortened(value if isinstance(value, str) else json.dumps(value), LONGEST_QUOTE)
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: Member must {constraint}"


def _unexpected(value: Any, wanted: str) -> ApiError:
    if isinstance(value, (dict, list)):
        kind = "structure or map" if isinstance(value, dict) else "list"
        return ApiError("SerializationException", f"Start of {kind} found where not expected.")
    tokens = {bool: f"{value}".upper(), str: "STRING", int: "NUMBER", float: "NUMBER"}
    token = f"{tokens.get(type(value), 'NULL')}_VALUE"
    return ApiError("SerializationException", f"{token} can not be converted to a {wanted}")


def renderer(shape: Any) -> Callable[[Any], Any]:
    """A function that keeps of a result what the model has a member for and shortens times to milliseconds."""
    if shape.type_name == "structure":
        members = [(name, renderer(member)) for name, member in shape.members.items()]
        return lambda value: {
            name: render(value[name]) for name, render in members if name in value and value[name] is not None
        }
    if shape.type_name == "list":
        render_item = renderer(shape.member)
        return lambda value: [render_item(item) for item in value]
    if shape.type_name == "timestamp":
        return lambda value: round(value, 3)
    return lambda value: value


class Wire:
    """The codec of one service for the operations that there are."""

    def __init__(self, operations: Iterable[str], service: str = "sagemaker") -> None:
        model = botocore.session.get_session().get_service_model(service)
        self._known = frozenset(model.operation_names)
        self._operations = frozenset(operations)
        self._parsers: dict[str, Parse] = {}
        self._renderers: dict[str, Callable[[Any], Any]] = {}
        for name in self._operations:
            operation = model.operation_model(name)
            if operation.input_shape is not None:
                self._parsers[name] = parser(operation.input_shape)
            if operation.output_shape is not None:
                self._renderers[name] = renderer(operation.output_shape)

    def require(self, operation: str) -> None:
        """Refuse an operation that nobody implements here."""
        if operation not in self._operations:
            hint = "is not part of this service" if operation in self._known else "does not exist"
            raise ApiError("UnknownOperationException", f"Operation {operation} {hint}.")

    def parse(self, operation: str, value: Any) -> dict[str, Any]:
        """The parameters of a call, checked by the model."""
        violations: list[str] = []
        parameters: dict[str, Any] = self._parsers[operation](value, "", violations)
        if violations:
            raise constraints(violations)
        return parameters

    def render(self, operation: str, result: dict[str, Any]) -> bytes:
        """The body of an answer; operations without an output shape have an empty one."""
        render = self._renderers.get(operation)
        return b"" if render is None else json.dumps(render(result)).encode()


def loads(body: bytes) -> Any:
    """The JSON of a request body; none at all is an empty structure."""
    try:
        return json.loads(body, parse_constant=_no_constant) if body else {}
    except (ValueError, RecursionError):
        raise ApiError("SerializationException", "Unable to parse the request body as JSON.") from None


def _no_constant(word: str) -> None:
    """Refuse what Python takes for JSON and nobody else does: NaN and Infinity."""
    raise ValueError(word)


def render_error(error: ApiError) -> bytes:
    """AWS JSON's error envelope."""
    label = "Message" if error.code in MODELLED else "message"
    return json.dumps({"__type": error.code, label: error.message}).encode()
