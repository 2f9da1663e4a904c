"""Jobs against a real S3: what is read, what is written, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from edge_manager.artifacts import Artifacts, Location, MissingError, Worker, is_package, pack
from edge_manager.domain.jobs import check_package_url
from edge_manager.domain.scope import Scope
from edge_manager.errors import ApiError
from edge_manager.store import jobs
from edge_manager.store.engine import Store
from edge_manager.store.jobs import CompilationJobs, PackagingJobs
from edge_manager.store.tables import COMPILATION_JOBS, PACKAGING_JOBS
from tests.edge_manager.processes import sqlite
from tests.edge_manager.teams import ROLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.edge_manager.teams import Shop

SCOPE = Scope("333333333333", "eu-west-1")


def archive(name: str, body: bytes = b"weights") -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = len(body)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as written:
        written.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


def test_a_package_is_taken_byte_for_byte(s3: Any) -> None:
    body = archive("model/weights.bin")
    s3.put_object(Bucket="models", Key="in/whole.tar.gz", Body=body)
    checksum = Artifacts(s3).package("s3://models/in/whole.tar.gz", "s3://models/out/whole.tar.gz")
    assert s3.get_object(Bucket="models", Key="out/whole.tar.gz")["Body"].read() == body
    assert checksum == hashlib.sha1(body, usedforsecurity=False).hexdigest()


def test_anything_else_is_packed_the_same_way_every_time(s3: Any) -> None:
    s3.put_object(Bucket="models", Key="in/model.onnx", Body=b"weights")
    artifacts = Artifacts(s3)
    sums = {artifacts.package("s3://models/in/model.onnx", f"s3://models/out/{number}") for number in range(2)}
    assert len(sums) == 1
    body = s3.get_object(Bucket="models", Key="out/0")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as packed:
        assert packed.getnames() == ["model.onnx"]


def test_only_a_gzipped_tar_is_a_package(tmp_path: Path) -> None:
    whole = archive("weights.bin", bytes(range(256)) * 4000)
    for name, body, expected in (
        ("whole", whole, True),
        ("zipped", gzip.compress(b"weights"), False),
        ("empty", b"", False),
    ):
        path = tmp_path / name
        path.write_bytes(body)
        assert is_package(path) == expected, name


def damaged() -> Iterator[bytes]:
    """Packages of which some bytes are others or missing, where tarfile looks and where it does not."""
    whole = archive("weights.bin", b"".join(b"%d," % number for number in range(100_000)))
    dice = random.Random(3)  # noqa: S311  damage, not secrets
    for _ in range(12):
        at = dice.randrange(len(whole) // 8, len(whole) - 100)
        yield whole[:at] + bytes(byte ^ dice.randrange(1, 255) for byte in whole[at : at + 20]) + whole[at + 20 :]
        yield whole[:at]
    yield whole[:-8] + b"\0\0\0\0" + whole[-4:]
    yield whole[:-1]


def test_a_damaged_package_fails_its_job_and_is_not_packed_as_if_it_were_a_model(
    tmp_path: Path, store: Store, s3: Any
) -> None:
    for body in damaged():
        (tmp_path / "package").write_bytes(body)
        with pytest.raises(MissingError, match="damaged or cut short"):
            is_package(tmp_path / "package")
    s3.put_object(Bucket="models", Key="in/damaged", Body=body)
    package_job(store, "damaged", "s3://models/in/damaged")
    assert Worker(store, Artifacts(s3), Clock()).work()
    found, message = packaging_status(store, "damaged")
    assert (found, "damaged or cut short" in str(message)) == ("FAILED", True)


@pytest.mark.parametrize("trouble", [zlib.error("x"), ValueError("\0"), RecursionError()])
def test_what_nobody_foresaw_ends_the_job_and_not_the_worker(store: Store, s3: Any, trouble: Exception) -> None:
    class Odd(Artifacts):
        def package(self, source: str, target: str) -> str:
            raise trouble from MissingError(f"{source} to {target}")

    package_job(store, "odd", "s3://models/in/odd")
    assert Worker(store, Odd(s3), Clock()).work()
    assert packaging_status(store, "odd") == ("FAILED", f"The job failed inside: {type(trouble).__name__}.")


def test_what_s3_could_never_have_fails_its_job(store: Store, s3: Any) -> None:
    package_job(store, "nowhere", "s3://no such bucket/in")
    assert Worker(store, Artifacts(s3), Clock()).work()
    assert packaging_status(store, "nowhere")[0] == "FAILED"


def test_a_name_in_a_package_that_is_no_text_fails_its_job_with_a_reason_that_can_be_kept(
    store: Store, s3: Any
) -> None:
    s3.put_object(Bucket="models", Key="in/odd-name", Body=archive("../\udcff" + "x" * 3000))
    package_job(store, "odd-name", "s3://models/in/odd-name")
    assert Worker(store, Artifacts(s3), Clock()).work()
    found, message = packaging_status(store, "odd-name")
    assert (found, len(str(message))) == ("FAILED", 1024)


def package_job(store: Store, name: str, url: str) -> None:
    details = {"OutputConfig": {"S3OutputLocation": "s3://models/out"}, "InputS3Uri": url}
    store.write(lambda db: PackagingJobs(db, SCOPE).create(name, details, {}, 1.0, model="counter", version="1"))


def packaging_status(store: Store, name: str) -> tuple[str, str | None]:
    row = store.read(lambda db: PackagingJobs(db, SCOPE).find(name))
    return row.status, row.message


def test_a_package_whose_url_would_be_too_long_is_refused() -> None:
    fits = "s3://models/" + "x" * (1024 - len("s3://models//job/m-1.tar.gz"))
    check_package_url(fits, "job", "m", "1")
    with pytest.raises(ApiError, match="would have 1025 characters"):
        check_package_url(f"{fits}x", "job", "m", "1")


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "a/../../outside"])
def test_a_package_that_would_write_outside_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "package"
    path.write_bytes(archive(name))
    with pytest.raises(MissingError, match="outside of its folder"):
        is_package(path)


def test_a_large_file_is_packed_whole(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"\0" * 3_000_000)
    pack(tmp_path / "model", "model.bin", tmp_path / "package")
    with tarfile.open(tmp_path / "package") as packed:
        assert packed.getmember("model.bin").size == 3_000_000


@pytest.mark.parametrize("url", ["https://models/key", "s3://models", "s3://models/", "s3:///key", "models/key"])
def test_what_names_no_object_is_refused(url: str) -> None:
    with pytest.raises(MissingError, match="does not name an object"):
        Location.of(url)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(sqlite(tmp_path))
    yield store
    store.close()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def compile_job(store: Store, name: str, url: str) -> None:
    details = {"InputConfig": {"S3Uri": url}, "OutputConfig": {"S3OutputLocation": "s3://models/out"}}
    store.write(lambda db: CompilationJobs(db, SCOPE).create(name, details, {}, 1.0))


def status(store: Store, name: str) -> tuple[str, str | None]:
    row = store.read(lambda db: CompilationJobs(db, SCOPE).find(name))
    return row.status, row.message


def test_a_model_that_is_not_there_fails_its_job(store: Store, s3: Any) -> None:
    compile_job(store, "missing", "s3://models/nowhere")
    worker = Worker(store, Artifacts(s3), Clock())
    assert worker.work()
    found, message = status(store, "missing")
    assert (found, "s3://models/nowhere" in str(message)) == ("FAILED", True)
    assert not worker.work()


def test_jobs_wait_while_s3_is_away(store: Store, s3: Any) -> None:
    s3.put_object(Bucket="models", Key="in/late", Body=b"x")
    compile_job(store, "late", "s3://models/in/late")
    away = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:9",
        region_name="us-east-1",
        aws_access_key_id="s3",
        aws_secret_access_key="s3",  # noqa: S106
        config=Config(retries={"total_max_attempts": 1}),
    )
    clock = Clock()
    assert Worker(store, Artifacts(away), clock).work()
    assert status(store, "late") == ("INPROGRESS", None)
    assert not Worker(store, Artifacts(s3), clock).work()
    clock.now += 20
    assert Worker(store, Artifacts(s3), clock).work()
    assert status(store, "late") == ("COMPLETED", None)
    away.close()


def test_a_job_is_worked_on_by_one_and_taken_up_after_its_worker_was_killed(store: Store) -> None:
    compile_job(store, "one", "s3://models/in/one")
    first = store.write(lambda db: jobs.claim(db, COMPILATION_JOBS, now=10, until=20))
    assert first is not None
    assert store.write(lambda db: jobs.claim(db, COMPILATION_JOBS, now=15, until=25)) is None
    again = store.write(lambda db: jobs.claim(db, COMPILATION_JOBS, now=20, until=30))
    assert again is not None
    assert again.id == first.id
    assert store.write(lambda db: jobs.end(db, COMPILATION_JOBS, again.id, status="COMPLETED", now=21))
    assert not store.write(lambda db: jobs.end(db, COMPILATION_JOBS, first.id, status="FAILED", now=22))
    assert status(store, "one")[0] == "COMPLETED"


def test_a_stopped_job_stays_stopped(store: Store, s3: Any) -> None:
    details = {"OutputConfig": {"S3OutputLocation": "s3://models/out"}, "InputS3Uri": "s3://models/in/one"}
    more = {"model": "counter", "version": "1"}
    store.write(lambda db: PackagingJobs(db, SCOPE).create("job", details, {}, 1.0, **more))
    job = store.write(lambda db: jobs.claim(db, PACKAGING_JOBS, now=10, until=20))
    assert job is not None
    store.write(lambda db: PackagingJobs(db, SCOPE).stop("job", 11))
    assert not store.write(lambda db: jobs.end(db, PACKAGING_JOBS, job.id, status="COMPLETED", now=12))
    assert not Worker(store, Artifacts(s3), Clock()).work()
    assert store.read(lambda db: PackagingJobs(db, SCOPE).packaged(["job"]))["job"].status == "STOPPED"


def test_the_api_refuses_to_package_what_is_not_compiled_and_to_plan_what_is_not_packaged(shop: Shop) -> None:
    shop.fleet("till-1")
    compilation = {
        "CompilationJobName": "lost",
        "RoleArn": ROLE,
        "InputConfig": {"S3Uri": "s3://models/lost", "Framework": "ONNX"},
        "OutputConfig": {"S3OutputLocation": "s3://models/out", "TargetDevice": "rasp4b"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    packaging = {
        "EdgePackagingJobName": "lost",
        "CompilationJobName": "lost",
        "ModelName": "lost",
        "ModelVersion": "1",
        "RoleArn": ROLE,
        "OutputConfig": {"S3OutputLocation": "s3://nobodys-bucket/out"},
    }
    with pytest.raises(ClientError, match="Compilation job lost does not exist"):
        shop.sagemaker.create_edge_packaging_job(**packaging)
    shop.sagemaker.create_compilation_job(**compilation)
    describe = shop.sagemaker.describe_compilation_job
    until(lambda: describe(CompilationJobName="lost")["CompilationJobStatus"] == "FAILED")
    assert "s3://models/lost" in describe(CompilationJobName="lost")["FailureReason"]
    with pytest.raises(ClientError, match="is FAILED, it must be COMPLETED"):
        shop.sagemaker.create_edge_packaging_job(**packaging)
    shop.package("counter")
    shop.sagemaker.create_edge_packaging_job(**packaging | {"CompilationJobName": "counter"})
    described = shop.sagemaker.describe_edge_packaging_job
    until(lambda: described(EdgePackagingJobName="lost")["EdgePackagingJobStatus"] == "FAILED")
    with pytest.raises(ClientError, match="Edge packaging job lost is FAILED, it must be COMPLETED"):
        shop.plan("tills", job="lost")


def until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
