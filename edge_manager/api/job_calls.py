"""The operations on compilation and packaging jobs; `edge_manager.artifacts` works on the service's jobs themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_manager.api.calls import Result, reads, writes
from edge_manager.domain import jobs
from edge_manager.errors import invalid

if TYPE_CHECKING:
    from edge_manager.api.ports import Call


@writes
def create_compilation_job(call: Call, wanted: dict[str, Any]) -> Result:
    """Take a model that is compiled already: the job ends COMPLETED when it is there."""
    if "InputConfig" not in wanted:
        raise invalid("InputConfig is required: this service takes models that are compiled already.")
    tags, name = call.rules.tags_of(wanted.pop("Tags", None)), wanted["CompilationJobName"]
    return {"CompilationJobArn": call.compilation_jobs.create(name, wanted, tags, call.now)}


@reads
def describe_compilation_job(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a compilation job."""
    return jobs.describe_compilation(call.compilation_jobs.find(wanted["CompilationJobName"]))


@reads
def list_compilation_jobs(call: Call, wanted: dict[str, Any]) -> Result:
    """List compilation jobs."""
    found, token = call.compilation_jobs.page(wanted)
    return {"CompilationJobSummaries": [jobs.summarize_compilation(job) for job in found], "NextToken": token}


@writes
def stop_compilation_job(call: Call, wanted: dict[str, Any]) -> None:
    """Stop a compilation job; one that is over stays as it ended."""
    call.compilation_jobs.stop(wanted["CompilationJobName"], call.now)


@writes
def create_edge_packaging_job(call: Call, wanted: dict[str, Any]) -> None:
    """Package what a compilation job ended with."""
    source = call.compiled(wanted["CompilationJobName"])
    tags, name = call.rules.tags_of(wanted.pop("Tags", None)), wanted["EdgePackagingJobName"]
    output = wanted["OutputConfig"]["S3OutputLocation"]
    jobs.check_package_url(output, name, wanted["ModelName"], wanted["ModelVersion"])
    model = {"model": wanted["ModelName"], "version": wanted["ModelVersion"]}
    call.packaging_jobs.create(name, {**wanted, "InputS3Uri": source}, tags, call.now, **model)


@reads
def describe_edge_packaging_job(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a packaging job."""
    return jobs.describe_packaging(call.packaging_job_named(wanted["EdgePackagingJobName"]))


@reads
def list_edge_packaging_jobs(call: Call, wanted: dict[str, Any]) -> Result:
    """List packaging jobs."""
    found, token = call.packaging_jobs.page(wanted)
    return {"EdgePackagingJobSummaries": [jobs.summarize_packaging(job) for job in found], "NextToken": token}


@writes
def stop_edge_packaging_job(call: Call, wanted: dict[str, Any]) -> None:
    """Stop a packaging job; one that is over stays as it ended."""
    call.packaging_jobs.stop(wanted["EdgePackagingJobName"], call.now)
