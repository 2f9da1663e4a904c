"""What jobs do: see that a compiled model is in S3, and write the package that devices fetch.

A package is a gzipped tar; what is one already is taken as it is, anything else is packed into one. The same input gives
the same bytes, so a job whose worker was killed is simply done over.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import tarfile
import tempfile
import threading
import time
import zlib
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from edge_manager.domain.jobs import package_url
from edge_manager.domain.texts import LONGEST_REASON, shortened
from edge_manager.store import jobs
from edge_manager.store.tables import COMPILATION_JOBS, PACKAGING_JOBS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Table

    from edge_manager.store.engine import Store
    from edge_manager.store.queries import AnyRow

CLAIM = 900.0  # seconds that a job may take; then another replica takes it up
RETRY = 15.0  # seconds after S3 did not answer
IDLE = 5.0  # seconds between looks for jobs that other replicas took in
SERVER_ERROR = 500
BUSY = frozenset({"SlowDown", "RequestTimeout"})
CHUNK = 1 << 20
GZIP = b"\x1f\x8b\x08"  # the first bytes of all gzip there is
LOG = logging.getLogger(__name__)


class MissingError(Exception):
    """Something that a job needs is not there, or not to be read: another try would not find it either."""


class Location(NamedTuple):
    """An object in S3."""

    bucket: str
    key: str

    @classmethod
    def of(cls, url: str) -> Location:
        """The object that a URL names."""
        parts = urlsplit(url)
        key = parts.path.lstrip("/")
        if parts.scheme != "s3" or not parts.netloc or not key:
            raise MissingError(f"{url} does not name an object: s3://<bucket>/<key> does.")
        return cls(parts.netloc, key)


class Artifacts:
    """Reads and writes models, in whatever S3 botocore's own settings name."""

    def __init__(self, client: Any | None = None) -> None:
        self._client = client

    def check(self, url: str) -> None:
        """Refuse a model that is not there."""
        location = Location.of(url)
        _call(url, lambda: self._s3.head_object(Bucket=location.bucket, Key=location.key))

    def package(self, source: str, target: str) -> str:
        """Write the package of a model; its SHA-1, in hexadecimal, as devices check it."""
        origin, goal = Location.of(source), Location.of(target)
        with tempfile.TemporaryDirectory(prefix="edge-manager-") as folder:
            model, packed = Path(folder, "model"), Path(folder, "package")
            _call(source, lambda: self._s3.download_file(origin.bucket, origin.key, str(model)))
            if is_package(model):
                packed = model
            else:
                pack(model, PurePosixPath(origin.key).name, packed)
            _call(target, lambda: self._s3.upload_file(str(packed), goal.bucket, goal.key))
            return sha1(packed)

    @property
    def _s3(self) -> Any:
        if self._client is None:
            self._client = boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 3}))
        return self._client


class Worker:
    """A thread that works on the jobs of a store, one after the other."""

    def __init__(self, store: Store, artifacts: Artifacts, clock: Callable[[], float] = time.time) -> None:
        self._store, self._artifacts, self._clock = store, artifacts, clock
        self._wake, self._over = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look for a job at once."""
        self._wake.set()

    def close(self) -> None:
        """End after the job in hand; a job that is cut short is done by the next process."""
        self._over = True
        self._wake.set()
        self._thread.join(timeout=IDLE)

    def work(self) -> bool:
        """Do one job, if there is one."""
        for table, do in ((COMPILATION_JOBS, self._compile), (PACKAGING_JOBS, self._package)):
            now = self._clock()
            job = self._store.write(partial(jobs.claim, table=table, now=now, until=now + CLAIM))
            if job is not None:
                self._do(table, job, do)
                return True
        return False

    def _run(self) -> None:
        while not self._over:
            self._wake.clear()
            try:
                busy = self.work()
            except Exception:  # the store is away, say: jobs wait for it
                LOG.exception("Jobs wait")
                busy = False
            if not busy:
                self._wake.wait(IDLE)

    def _do(self, table: Table, job: AnyRow, do: Callable[[AnyRow], dict[str, Any]]) -> None:
        try:
            ending = {"status": "COMPLETED", **do(job)}
        except MissingError as error:
            ending = {"status": "FAILED", "message": shortened(str(error), LONGEST_REASON)}
        except (BotoCoreError, ClientError, OSError) as error:
            LOG.warning("Job %s waits for S3: %s", job.arn, error)
            again = self._clock() + RETRY
            self._store.write(lambda db: jobs.postpone(db, table, job.id, again))
            return
        except Exception as error:  # nobody foresaw it: another try would end the same way, and others wait behind it
            LOG.exception("Job %s failed", job.arn)
            ending = {"status": "FAILED", "message": f"The job failed inside: {type(error).__name__}."}
        now = round(self._clock(), 3)
        if table is COMPILATION_JOBS:
            ending["ended"] = now
        self._store.write(lambda db: jobs.end(db, table, job.id, now=now, **ending))

    def _compile(self, job: AnyRow) -> dict[str, Any]:
        self._artifacts.check(job.details["InputConfig"]["S3Uri"])
        return {}

    def _package(self, job: AnyRow) -> dict[str, Any]:
        target = package_url(job.details["OutputConfig"]["S3OutputLocation"], job.name, job.model, job.version)
        return {"artifact": target, "sha1": self._artifacts.package(job.details["InputS3Uri"], target)}


def is_package(path: Path) -> bool:
    """Whether a file is a gzipped tar that unpacks nowhere but below its folder; a damaged one is refused."""
    if not _is_gzip(path):
        return False
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
                    raise MissingError(f"The package would write outside of its folder: {member.name}")
                if member.size < 0:  # tarfile would read the same member for ever
                    raise MissingError(f"The package is damaged: {member.name} has a size below 0")
    except tarfile.TarError:
        return False
    return True


def _is_gzip(path: Path) -> bool:
    """Whether a file is gzip. It is read to its end, where its checksum is: tarfile stops before, and skips files."""
    with path.open("rb") as raw:
        if raw.read(len(GZIP)) != GZIP:
            return False
    try:
        with gzip.open(path) as unzipped:
            while unzipped.read(CHUNK):
                pass
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise MissingError(f"The model is gzip, but damaged or cut short: {error}") from None
    return True


def pack(source: Path, name: str, target: Path) -> None:
    """Write a gzipped tar of one file that is the same whenever and wherever it is written."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = source.stat().st_size, 0o644
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
        source.open("rb") as file,
    ):
        archive.addfile(entry, file)


def sha1(path: Path) -> str:
    """The checksum that the API has for packages."""
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _call(url: str, call: Callable[[], Any]) -> None:
    """A call of S3. What S3 says no to is missing, what S3 cannot do just now is tried later."""
    try:
        call()
    except ParamValidationError as error:  # no S3 knows such a bucket or key
        raise MissingError(f"{url}: {error}") from None
    except (ClientError, S3UploadFailedError) as error:
        refusal = error if isinstance(error, ClientError) else error.__context__
        if not isinstance(refusal, ClientError):
            raise MissingError(f"{url}: {error}") from None
        status = refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", SERVER_ERROR)
        if status >= SERVER_ERROR or refusal.response["Error"]["Code"] in BUSY:
            raise refusal from None
        raise MissingError(f"{url}: {refusal.response['Error'].get('Message')} ({status})") from None
