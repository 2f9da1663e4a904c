"""The operations on compilation and packaging jobs; `edge_manager.artifacts` works on the jobs themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_manager.api.calls import Call, Result, reads, writes
from edge_manager.domain.rules import tags_of
from edge_manager.errors import invalid

if TYPE_CHECKING:
    from edge_manager.store.queries import AnyRow

PACKAGING_ORDERS = {
    "CREATION_TIME": ["created", "name"],
    "NAME": ["name"],
    "MODEL_NAME": ["model", "name"],
    "LAST_MODIFIED_TIME": ["modified", "name"],
    "STATUS": ["status", "name"],
}
COMPILATION_ORDERS = {"CreationTime": ["created", "name"], "Name": ["name"], "Status": ["status", "name"]}


@writes
def create_compilation_job(call: Call, wanted: dict[str, Any]) -> Result:
    """Take a model that is compiled already: the job ends COMPLETED when it is there."""
    if "InputConfig" not in wanted:
        raise invalid("InputConfig is required: this service takes models that are compiled already.")
    tags, name = tags_of(wanted.pop("Tags", None)), wanted["CompilationJobName"]
    return {"CompilationJobArn": call.compilation_jobs.create(name, wanted, tags, call.now)}


@reads
def describe_compilation_job(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a compilation job; its artifact is what it was given."""
    job = call.compilation_jobs.find(wanted["CompilationJobName"])
    return {
        **job.details,
        **_summarize_compilation(job),
        "FailureReason": job.message or "",
        "ModelArtifacts": {"S3ModelArtifacts": job.details["InputConfig"]["S3Uri"]},
    }


@reads
def list_compilation_jobs(call: Call, wanted: dict[str, Any]) -> Result:
    """List compilation jobs."""
    jobs, token = call.compilation_jobs.page(wanted, COMPILATION_ORDERS, {"NameContains": "name"})
    return {"CompilationJobSummaries": [_summarize_compilation(job) for job in jobs], "NextToken": token}


@writes
def stop_compilation_job(call: Call, wanted: dict[str, Any]) -> None:
    """Stop a compilation job; one that is over stays as it ended."""
    call.compilation_jobs.stop(wanted["CompilationJobName"], call.now)


@writes
def create_edge_packaging_job(call: Call, wanted: dict[str, Any]) -> None:
    """Package what a compilation job ended with."""
    compiled = call.compilation_jobs.find(wanted["CompilationJobName"])
    if compiled.status != "COMPLETED":
        raise invalid(f"Compilation job {compiled.name} is {compiled.status}, it must be COMPLETED.")
    tags, name = tags_of(wanted.pop("Tags", None)), wanted["EdgePackagingJobName"]
    details = {**wanted, "InputS3Uri": compiled.details["InputConfig"]["S3Uri"]}
    model = {"model": wanted["ModelName"], "version": wanted["ModelVersion"]}
    call.packaging_jobs.create(name, details, tags, call.now, **model)


@reads
def describe_edge_packaging_job(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a packaging job."""
    job = call.packaging_jobs.find(wanted["EdgePackagingJobName"])
    return {
        **job.details,
        **_summarize_packaging(job),
        "EdgePackagingJobStatusMessage": job.message,
        "ModelArtifact": job.artifact,
    }


@reads
def list_edge_packaging_jobs(call: Call, wanted: dict[str, Any]) -> Result:
    """List packaging jobs."""
    parts = {"NameContains": "name", "ModelNameContains": "model"}
    jobs, token = call.packaging_jobs.page(wanted, PACKAGING_ORDERS, parts)
    return {"EdgePackagingJobSummaries": [_summarize_packaging(job) for job in jobs], "NextToken": token}


@writes
def stop_edge_packaging_job(call: Call, wanted: dict[str, Any]) -> None:
    """Stop a packaging job; one that is over stays as it ended."""
    call.packaging_jobs.stop(wanted["EdgePackagingJobName"], call.now)


def _summarize_compilation(job: AnyRow) -> Result:
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


def _summarize_packaging(job: AnyRow) -> Result:
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
