"""`edgeplan promote NAME [FILE...]`: the next stage behind the gate, as a change of the manifest for git, or live."""

from collections.abc import Sequence
from pathlib import Path

import click

from controller.cluster.access import Access
from controller.commands.options import ClusterFlags, cluster_options
from controller.commands.promotion import NotPromoted, git_diff, next_stage, promoted
from controller.commands.session import DONE, NO, TROUBLE, complain, resource_of, with_cluster
from controller.domain.resource import InvalidSpec
from controller.schema.documents import decode
from controller.schema.manifests import Manifest, Problem, check_one, read


@click.command()
@click.argument("name")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("--to", metavar="STAGE", help="Move the gate to this stage (default: the next one).")
@click.option("--live", is_flag=True, help="Change the object in the cluster instead of a file.")
@cluster_options
def promote(name: str, files: Sequence[Path], *, to: str | None, live: bool, cluster: ClusterFlags) -> int:
    """Let the rollout of the plan NAME go on: move spec.rollout.throughStage to the next stage.

    FILE is the plan's manifest, or a folder that it is in (default: the folder that this is called in). Prints the
    change as git does and makes none: `edgeplan promote NAME | git apply` does. With --live the object is changed
    instead; a GitOps tool puts that back.

    Exit code 0: printed, or changed; 1: nothing to promote; 2: an error.
    """
    if live and files:
        raise click.UsageError("--live changes the object, not a FILE")
    try:
        if live:
            return with_cluster(cluster, lambda access: _promote_live(access, name, to))
        return _print_change(name, files or [Path()], cluster.namespace, to)
    except NotPromoted as refusal:
        complain(f"{name}: {refusal}")
        return NO


async def _promote_live(access: Access, name: str, wanted: str | None) -> int:
    resource = await resource_of(access, name)
    if isinstance(resource.spec, InvalidSpec):
        raise NotPromoted(f"the spec is not valid: {resource.spec.message}")
    stage = next_stage(resource.spec, wanted)
    guard = {"resourceVersion": resource.resource_version}
    await access.patch(name, {"metadata": guard, "spec": {"rollout": {"throughStage": stage}}})
    click.echo(f"{resource.key}: promoted to {stage}")
    for each in resource.status.stages or ():
        if each.status in {"FAILED", "STOPPED"}:
            text = (
                f"stage {each.stage_name} is {each.status}: once `edgeplan retry` has it start again and it ends well"
            )
            complain(f"{resource.key}: {text}, {stage} follows")
    return DONE


def _print_change(name: str, files: Sequence[Path], namespace: str | None, wanted: str | None) -> int:
    found = [
        each for path in files for each in read(path) if not isinstance(each, Problem) and _is(each, name, namespace)
    ]
    if len(found) != 1:
        where = ", ".join(f"{each.file}:{each.line([])}" for each in found)
        complain(f"{name}: several manifests: {where}; name its file" if found else f"{name}: no manifest of that name")
        return TROUBLE
    (manifest,) = found
    problems = check_one(manifest)
    if problems:
        complain(str(problems[0]))
        return TROUBLE
    stage = next_stage(manifest.spec, wanted)
    file = Path(manifest.file)
    before = decode(file.read_bytes())
    click.echo(git_diff(_path_in_repository(file), before, promoted(before, manifest, stage)), nl=False)
    return DONE


def _is(manifest: Manifest, name: str, namespace: str | None) -> bool:
    metadata = manifest.body.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("name") != name:
        return False
    return namespace is None or metadata.get("namespace") in {None, namespace}


def _path_in_repository(file: Path) -> str:
    """The path as git names it: from the root of the work tree, or from here where there is none."""
    whole = file.resolve()
    root = next((folder for folder in whole.parents if (folder / ".git").exists()), Path.cwd().resolve())
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else whole.as_posix().lstrip("/")
