"""Documents of a file, read as kubectl reads them: bytes to text, text to documents, documents to JSON values.

kubectl tries JSON where the first character is a brace, cuts YAML at `---` before it parses, reads one document of each
piece, and turns its values into JSON by the rules of Go's yaml.v2, which is nearly YAML 1.1. Wherever another parser would
be right, kubectl's reading is the one that reaches the API server. Sources: cli-runtime's FileVisitor, apimachinery's
util/yaml, sigs.k8s.io/yaml.
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from controller.schema.yaml_values import Loader, Unreadable, as_integer, as_number, value_of

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SEPARATOR = "---"
_JSON_BLANKS = re.compile(r"[ \t\r\n]*")
_BLANKS = re.compile(r"\s*?(\n|(?=\S))")  # up to the end of the line


@dataclass(frozen=True)
class Document:
    """One document that is not empty."""

    value: Any
    node: yaml.Node
    """Where its parts stand, in lines of the document."""
    first_line: int
    """Line of the file, from 0, that is line 0 of the node."""


@dataclass(frozen=True)
class Unparsed:
    """Why the file cannot be read from a line on; kubectl reads nothing behind it."""

    line: int
    text: str


def decode(data: bytes) -> str:
    """The text: UTF-16 where a byte order mark says so, else UTF-8, with U+FFFD for what is neither."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    return data.decode("utf-8", errors="replace")


def documents(text: str) -> Iterator[Document | Unparsed]:
    """The documents of a file, or why there are no more."""
    return _json_documents(text) if text.lstrip().startswith("{") else _yaml_documents(text, 0)


def _yaml_documents(text: str, line: int) -> Iterator[Document | Unparsed]:
    """The YAML documents of a text that begins at that line of the file."""
    for piece, offset in _pieces(text):
        first_line = line + offset
        if isinstance(piece, Unparsed):
            yield Unparsed(line + piece.line, piece.text)
            return
        try:
            node = _first_node(piece)
            value = None if node is None else value_of(node)
        except yaml.MarkedYAMLError as error:
            at, plainly = _plainly(error)
            last = piece.count("\n") - 1  # the end of the text counts as a line behind it
            yield Unparsed(first_line + min(at.line if at else 0, last) + 1, f"not YAML: {plainly}")
            return
        except (yaml.YAMLError, RecursionError) as error:
            yield Unparsed(first_line + 1, f"not YAML: {str(error).splitlines()[0]}")
            return
        except Unreadable as error:
            yield Unparsed(first_line + error.line + 1, f"cannot be turned into JSON: {error}")
            return
        if node is not None and value is not None:
            yield Document(value, node, first_line)


# By words of the parser: what a reader should look for, and whether it is where the parser began, not where it gave up.
_PLAINLY = (
    (
        "cannot start any token",
        "this character cannot stand here; YAML is indented with blanks, never with tabs",
        False,
    ),
    ("could not find expected ':'", "a colon is missing behind a key", True),
    (
        "mapping values are not allowed",
        "a second key in one line: quote a value that holds a colon, or indent as above",
        False,
    ),
    ("expected <block end>", "indented otherwise than the lines that it belongs to", False),
    ("unexpected end of stream", "a quote is opened and not closed", True),
    ("expected ',' or", "a bracket is not closed, or a comma is missing", False),
)


def _plainly(error: yaml.MarkedYAMLError) -> tuple[yaml.Mark | None, str]:
    """Where, and what is wrong in plain words before the parser's own."""
    told = str(error.problem)
    for words, plainly, where_it_began in _PLAINLY:
        if words in told:
            at = error.context_mark if where_it_began and error.context_mark else error.problem_mark
            column = f"column {at.column + 1}: " if at else ""
            return at, f"{column}{plainly} ({told})"
    return error.problem_mark, told


def _first_node(piece: str) -> yaml.Node | None:
    """The first document; whatever comes behind its end (`...`) is not read."""
    loader = Loader(piece)
    try:
        return loader.get_node() if loader.check_node() else None
    finally:
        loader.dispose()


def _pieces(text: str) -> Iterator[tuple[str | Unparsed, int]]:
    """The text between lines that begin with `---`, and the line that each piece begins at."""
    piece: list[str] = []
    first_line = 0
    for number, line in enumerate(text.split("\n")):
        if line.startswith(_SEPARATOR):
            behind = line.removeprefix(_SEPARATOR).strip()
            if behind and not behind.startswith("#"):
                yield Unparsed(number + 1, f"nothing but a comment may follow --- on its line, not {behind!r}"), number
                return
            if piece:
                yield "".join(piece), first_line
                piece, first_line = [], number
            if not piece:
                first_line = number
        piece.append(line.removesuffix("\r") + "\n")
    yield "".join(piece), first_line


def _json_documents(text: str) -> Iterator[Document | Unparsed]:
    """JSON documents, one behind the other, until one is none: it may be YAML, unless it comes after two of JSON."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    position = count = 0
    while (position := _behind(_JSON_BLANKS, text, position)) < len(text):
        line = text.count("\n", 0, position)
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            told = f"{error.msg}" if isinstance(error, json.JSONDecodeError) else f"{error}"
            trouble = Unparsed(getattr(error, "lineno", line + 1), f"not JSON: {told}")
            yield from [trouble] if count > 1 else _yaml_instead(text, position, trouble)
            return
        count += 1
        if value is not None:
            yield Document(_as_numbers(value), _lines_of(text[position:end]), line)
        position = end


def _yaml_instead(text: str, position: int, trouble: Unparsed) -> Iterator[Document | Unparsed]:
    """What a text is that is not JSON from there on; if its first document is not YAML either, why it is not JSON."""
    position = _behind(_BLANKS, text, position)
    found = _yaml_documents(text[position:], text.count("\n", 0, position))
    first = next(found, trouble)
    yield trouble if isinstance(first, Unparsed) else first
    yield from found


def _behind(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _as_numbers(value: Any) -> Any:
    """The value with numbers as the API server gets them: 10.0 is written as 10."""
    if isinstance(value, dict):
        return {key: _as_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_numbers(each) for each in value]
    if isinstance(value, float):
        return as_number(value)
    return value if isinstance(value, bool) or not isinstance(value, int) else as_integer(value)


def _lines_of(document: str) -> yaml.Node:
    """The document as YAML nodes, for their lines alone; tabs in JSON are blanks, as strings have none."""
    try:
        node = _first_node(document.replace("\t", " "))
    except yaml.YAMLError:  # a key of over 1024 characters
        node = None
    return node or yaml.MappingNode("", [], yaml.Mark("", 0, 0, 0, None, 0))
