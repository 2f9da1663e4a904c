"""YAML values as JSON, by the rules of Go's yaml.v2 that kubectl has: what `yes`, `0o17`, `1_000` and `<<` stand for."""

import base64
import math
import re
from typing import Any

import yaml

_YAML = "tag:yaml.org,2002:"
_STR, _INT, _FLOAT, _BOOL, _NULL = (f"{_YAML}{name}" for name in ("str", "int", "float", "bool", "null"))
_TIMESTAMP, _BINARY, _MERGE = (f"{_YAML}{name}" for name in ("timestamp", "binary", "merge"))
_PLAIN = ""
"""Tag of a scalar without quotes and without a tag."""

_WORDS: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), (_BOOL, True)),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), (_BOOL, False)),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), (_NULL, None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), (_FLOAT, math.nan)),
    **{sign + word: (_FLOAT, math.inf) for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), (_FLOAT, -math.inf)),
    "<<": (_MERGE, "<<"),
}
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bits>[01]+)|0[oO]?(?P<octal>[0-7]+)|(?P<decimal>0|[1-9][0-9]*))"
)
_BASES = {"hex": 16, "bits": 2, "octal": 8, "decimal": 10}
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}.*)?")
_SMALLEST, _LARGEST, _LARGEST_UNSIGNED = -(2**63), 2**63 - 1, 2**64 - 1
_WRITTEN_OUT = 1e21  # Go's JSON writes larger floats with an exponent, so that they are no integers

# yaml.v2 refuses a document that is mostly aliases: a small file could stand for gigabytes.
_FEW_ALIASES, _FEW_VALUES, _SMALL, _HUGE = 100, 1000, 400_000, 4_000_000


class Unreadable(Exception):  # noqa: N818 - a state of the document, not a fault
    """What JSON has no word for, and the line where it stands."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


class Loader(yaml.SafeLoader):
    """Nodes with the tags that stand in the text: what a plain scalar is, `value_of` decides."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:  # noqa: ARG002 - PyYAML's signature
        """The tag of a node without one."""
        if kind is not yaml.ScalarNode:
            return _PLAIN
        return _PLAIN if implicit[0] else _STR

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node. An anchor may be set twice: the nearest one before an alias counts."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(getattr(event, "anchor", None), None)
        if isinstance(event, yaml.ScalarEvent) and event.tag == "!":
            event.tag = _STR
        return super().compose_node(parent, index)

    def scan_to_next_token(self) -> None:
        """Skip what separates tokens: tabs too, as in libyaml, but where they would be indentation."""
        while True:
            while self.peek() == " " or (self.peek() == "\t" and (self.flow_level or not self.allow_simple_key)):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in "\0\r\n\x85\u2028\u2029":
                    self.forward()
            if not self.scan_line_break():  # type: ignore[no-untyped-call]
                return
            self.allow_simple_key = self.allow_simple_key or not self.flow_level


def value_of(node: yaml.Node) -> Any:
    """The JSON value of a document.

    Raises:
        Unreadable: there is none.

    """
    return _Reading().value(node)


def as_number(value: float) -> int | float:
    """The number as the API server reads it from JSON: an integer where it is one."""
    if not value.is_integer() or abs(value) >= _WRITTEN_OUT:
        return value
    return as_integer(int(value))


def as_integer(value: int) -> int | float:
    """The number as the API server reads it from JSON: a float where 64 bits do not hold it."""
    return value if _SMALLEST <= value <= _LARGEST else float(value)


class _Reading:
    """One document on its way to JSON."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._seen: set[int] = set()
        self._values = self._repeated = self._depth = 0

    def value(self, node: yaml.Node) -> Any:
        again = id(node) in self._seen
        self._seen.add(id(node))
        self._depth += again
        self._count(node)
        if id(node) in self._open:
            raise Unreadable(node.start_mark.line, "an anchor contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(each) for each in node.value]
            return _scalar(node)
        finally:
            self._open.remove(id(node))
            self._depth -= again

    def _count(self, node: yaml.Node) -> None:
        self._values += 1
        self._repeated += self._depth > 0
        if self._repeated > _FEW_ALIASES and self._values > _FEW_VALUES:
            over = min(max(self._values - _SMALL, 0) / (_HUGE - _SMALL), 1)
            if self._repeated / self._values > 0.99 - 0.89 * over:
                raise Unreadable(node.start_mark.line, "it consists of aliases for the most part")

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.tag in {_PLAIN, _MERGE}:
                self._merge(value, result)
            else:
                name = self._key(key)
                result[name] = self.value(value)
        return result

    def _merge(self, node: yaml.Node, into: dict[str, Any]) -> None:
        """Take over keys, also those that are there already: yaml.v2 goes by order alone."""
        # Of several the first one wins.
        sources = reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                raise Unreadable(node.start_mark.line, "<< takes a mapping or a list of mappings")
            into |= self.value(source)

    def _key(self, node: yaml.Node) -> str:
        key = self.value(node)
        if isinstance(key, bool):
            return "true" if key else "false"
        if isinstance(key, str):
            return key
        if isinstance(key, int) and key <= _LARGEST:
            return str(key)
        if isinstance(key, float):
            return f"{key:g}"
        raise Unreadable(node.start_mark.line, "a key that is null, a list or a mapping")


def _scalar(node: yaml.Node) -> Any:
    tag, value = _resolve(node.tag, node.value)
    wanted = node.tag
    if wanted == _FLOAT and tag == _INT:
        tag, value = _FLOAT, float(value)
    if wanted in {_INT, _FLOAT, _BOOL, _NULL, _TIMESTAMP} and tag != wanted:
        kinds = tag.removeprefix(_YAML), wanted.removeprefix(_YAML)
        raise Unreadable(node.start_mark.line, f"{node.value!r} is of type {kinds[0]}, not {kinds[1]}, as its tag says")
    if tag == _BINARY:
        try:
            return base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True).decode("utf-8", errors="replace")
        except ValueError as error:
            raise Unreadable(node.start_mark.line, "!!binary is no base64") from error
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unreadable(node.start_mark.line, f"JSON has no number {node.value}")
        return as_number(value)
    return value if isinstance(value, bool) or not isinstance(value, int) else as_integer(value)


def _resolve(tag: str, text: str) -> tuple[str, Any]:
    """The tag and value of a scalar; what is tagged with anything but a type of numbers and words is its text."""
    if tag not in {_PLAIN, _INT, _FLOAT, _BOOL, _NULL, _TIMESTAMP}:
        return tag, text
    if text in _WORDS:
        return _WORDS[text]
    if tag == _TIMESTAMP and _MOMENT.fullmatch(text):
        return _TIMESTAMP, text
    number = _number(text) if text[0] in "+-.0123456789" else None
    if number is None:
        return _STR, text
    return (_INT if isinstance(number, int) else _FLOAT), number


def _number(text: str) -> int | float | None:
    plain = text if text.startswith(".") else text.replace("_", "")
    if whole := _INTEGER.fullmatch(plain):
        kind, digits = next((kind, digits) for kind in _BASES if (digits := whole[kind]) is not None)
        value = int(whole["sign"] + digits, _BASES[kind])
        if _SMALLEST <= value <= _LARGEST or (not whole["sign"] and value <= _LARGEST_UNSIGNED):
            return value
    fraction = float(plain) if _DECIMAL.fullmatch(plain) else math.inf
    return fraction if math.isfinite(fraction) else None
