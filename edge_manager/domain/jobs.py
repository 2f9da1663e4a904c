"""Packaging and compilation jobs: a job is under way until it ended one way or another, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edge_manager.errors import invalid

if TYPE_CHECKING:
    from edge_manager.domain import views

LONGEST_URL = 1024  # of a package, as of any S3 URL in the API
UNDER_WAY = "INPROGRESS"
ENDED = frozenset({"COMPLETED", "FAILED", "STOPPED"})


class Packaged(NamedTuple):
    """A packaging job, as far as plans need it."""

    status: str
    artifact: str | None
    sha1: str | None
    model: str
    version: str


def package_url(output: str, job: str, model: str, version: str) -> str:
    """Where a packaging job writes: below its own name, so that no two jobs write to one place."""
    return f"{output.rstrip('/')}/{job}/{model}-{version}.tar.gz"


def check_package_url(output: str, job: str, model: str, version: str) -> None:
    """Refuse a packaging job whose package could not be named."""
    if (length := len(package_url(output, job, model, version))) > LONGEST_URL:
        raise invalid(f"The URL of the package would have {length} characters, {LONGEST_URL} are the most.")


def source_of(compiled: views.CompilationJob) -> str:
    """What a packaging job reads, refused where it is not there yet."""
    if compiled.status != "COMPLETED":
        raise invalid(f"Compilation job {compiled.name} is {compiled.status}, it must be COMPLETED.")
    source: str = compiled.details["InputConfig"]["S3Uri"]
    return source


def summarize_compilation(job: views.CompilationJob) -> dict[str, Any]:
    """AWS's CompilationJobSummary."""
    output = job.details["OutputConfig"]
    platform = output.get("TargetPlatform", {})
    return {
        "CompilationJobName": job.name,
        "CompilationJobArn": job.arn,
        "CompilationJobStatus": job.status,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "CompilationStartTime": job.created,
        "CompilationEndTime": job.ended,
        "CompilationTargetDevice": output.get("TargetDevice"),
        "CompilationTargetPlatformOs": platform.get("Os"),
        "CompilationTargetPlatformArch": platform.get("Arch"),
        "CompilationTargetPlatformAccelerator": platform.get("Accelerator"),
    }


def describe_compilation(job: views.CompilationJob) -> dict[str, Any]:
    """A compilation job; its artifact is what it was given."""
    return {
        **job.details,
        **summarize_compilation(job),
        "FailureReason": job.message or "",
        "ModelArtifacts": {"S3ModelArtifacts": job.details["InputConfig"]["S3Uri"]},
    }


def summarize_packaging(job: views.PackagingJob) -> dict[str, Any]:
    """AWS's EdgePackagingJobSummary."""
    return {
        "EdgePackagingJobArn": job.arn,
        "EdgePackagingJobName": job.name,
        "EdgePackagingJobStatus": job.status,
        "CompilationJobName": job.details["CompilationJobName"],
        "ModelName": job.model,
        "ModelVersion": job.version,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
    }


def describe_packaging(job: views.PackagingJob) -> dict[str, Any]:
    """A packaging job with its details."""
    return {
        **job.details,
        **summarize_packaging(job),
        "EdgePackagingJobStatusMessage": job.message,
        "ModelArtifact": job.artifact,
    }
