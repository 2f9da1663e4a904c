"""Downloads a package, going on where an earlier attempt ended, be it another process's.

Beside the part lies of which object it is: a part of an object that was overwritten since is thrown away, not mixed.
"""

from __future__ import annotations

import contextlib
import json
import os
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from edge_manager.agent.disk import DAMAGED, remove, sha1, write
from edge_manager.agent.errors import LaterError, S3KeyError, UnfitError
from edge_manager.agent.trouble import clock, describe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_manager.agent.disk import Disk
    from edge_manager.agent.values import Model

CHUNK = 1 << 16
BUSY = frozenset({"SlowDown", "RequestTimeout", "ThrottlingException", "TooManyRequestsException"})
SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "InvalidObjectState"})
PORTAL = "what answers is no S3, but something in between"
BLANK = b" \t\r\n\xef\xbb\xbf"
KEY_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
STALE = frozenset({HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})


class MismatchError(Exception):
    """The package that was fetched has another checksum; its part is gone."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def fetch(s3: Any, disk: Disk, model: Model, enough: Callable[[], bool]) -> bool:
    """Download, verify and unpack a model. False when `enough` said so before the end: call again to go on."""
    part, note = disk.partial / model.sha1, disk.partial / f"{model.sha1}.json"
    etag, size = _noted(note, model)
    if etag is None or not part.is_file():
        etag, size = None, 0
        _forget(part, note)
    offset = part.stat().st_size if etag is not None else 0
    if etag is None or size is None or offset < size:
        answer = _ask(s3, model, etag, offset, part, note)
        with contextlib.closing(answer["Body"]) as body:
            offset = _start(answer, offset, part, note, model)
            to_come = _length(answer)
            size = None if to_come is None else offset + to_come
            if size is not None:
                disk.need(2 * size - offset)  # what is to come, and at least as much when it is unpacked
            if not _receive(body, part, offset, enough, disk.need if size is None else None):
                return False
            if size is not None and part.stat().st_size < size:
                raise LaterError(f"{model.url}: the connection ended early")
    with part.open("rb") as package:
        found = sha1(package)
        if found != model.sha1:
            looks_like_a_page = package.read(CHUNK).lstrip(BLANK).startswith(b"<")
            _forget(part, note)
            if looks_like_a_page:
                raise LaterError(f"{model.url}: {PORTAL}")
            raise MismatchError(found)
        disk.install(model, package)
    _forget(part, note)
    return True


def _ask(s3: Any, model: Model, etag: str | None, offset: int, *files: Path) -> dict[str, Any]:
    """Ask for the object, or for what is missing of it."""
    bucket, key = _location(model)
    condition = {} if etag is None else {"IfMatch": etag}
    with_range = {"Range": f"bytes={offset}-"} if offset else {}
    try:
        return dict(s3.get_object(Bucket=bucket, Key=key, **condition, **with_range))
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in STALE:
            _forget(*files)
            raise LaterError(f"{model.url} was replaced meanwhile: it is fetched from its beginning") from None
        raise _trouble(error, model) from None
    except ParamValidationError as error:
        raise UnfitError(f"{model.url} does not name an object in S3: {error}", model.handle) from None
    except (BotoCoreError, ResponseParserError) as error:
        raise _no_answer(error) from None
    except (ValueError, TypeError, KeyError, OverflowError) as error:  # botocore's parser trusts the headers
        raise LaterError(f"{model.url}: what answers makes no sense: {error}") from None


def _start(answer: dict[str, Any], offset: int, part: Path, note: Path, model: Model) -> int:
    """Where the answer begins: some S3 do not know of ranges. A new download is noted before its first byte."""
    if offset and answer["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.PARTIAL_CONTENT:
        return offset
    if not answer.get("ETag") or str(answer.get("ContentType") or "").lower().startswith("text/html"):
        raise LaterError(f"{model.url}: {PORTAL}")
    _forget(part, note)
    content = {"url": model.url, "etag": answer["ETag"], "size": _length(answer)}
    write(note, json.dumps(content).encode())
    return 0


def _length(answer: dict[str, Any]) -> int | None:
    """How much is to come; None: what answers does not say (a proxy that sends in chunks)."""
    length = answer.get("ContentLength")
    return length if isinstance(length, int) and length >= 0 else None


def _receive(
    body: Any, part: Path, offset: int, enough: Callable[[], bool], need: Callable[[int], None] | None
) -> bool:
    """Write what comes. `need` is asked for room for each chunk, where nobody could be before."""
    with part.open("r+b" if offset else "wb", buffering=0) as file:
        file.seek(offset)
        while True:
            try:
                chunk = body.read(CHUNK)
            except (BotoCoreError, OSError, ValueError, HTTPException) as error:
                raise _no_answer(error) from None
            if not chunk:
                break
            if need is not None:
                need(len(chunk))
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]
            if enough():
                return False
        os.fsync(file.fileno())
    return True


def _noted(note: Path, model: Model) -> tuple[str | None, int | None]:
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        url, etag, size = found["url"], found["etag"], found["size"]
    except DAMAGED:
        return None, 0
    is_sound = isinstance(etag, str) and etag.isprintable() and (size is None or type(size) is int)
    return (etag, size) if url == model.url and is_sound else (None, 0)


def _forget(part: Path, note: Path) -> None:
    for path in (note, part):
        remove(path)


def _location(model: Model) -> tuple[str, str]:
    scheme, _, rest = model.url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key.strip("/"):
        raise UnfitError(f"{model.url} does not name an object in S3.", model.handle)
    return bucket, key


def _no_answer(error: Exception) -> Exception:
    if type(error).__name__ in {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}:
        return S3KeyError(f"S3: {error}")
    return LaterError(f"S3 does not answer: {error}")


def _trouble(error: ClientError, model: Model) -> Exception:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", HTTPStatus.INTERNAL_SERVER_ERROR)
    if code in SKEWED:
        return LaterError(f"S3 refuses the call: {describe(error)}. {clock(error.response)}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS or code in BUSY:
        return LaterError(f"S3 cannot answer now: {describe(error)}")
    if (not code or code.isdigit()) and status not in KEY_REFUSED:  # S3 says why, with a word of its own
        return LaterError(f"{model.url}: {PORTAL} (HTTP {status})")
    if status == HTTPStatus.NOT_FOUND or code in MISSING:
        return UnfitError(f"{model.url} is not there: {describe(error)}", model.handle)
    return S3KeyError(f"S3 refuses {model.url}: {describe(error)}")
