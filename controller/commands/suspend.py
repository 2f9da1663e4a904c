"""`edgeplan suspend` and `edgeplan resume`: one field of the spec, for plans whose manifest does not say it."""

import click

from controller.cluster.access import Access
from controller.commands.options import ClusterFlags, cluster_options
from controller.commands.session import DONE, resource_of, with_cluster
from controller.domain.wording import UNWATCHED


@click.command()
@click.argument("name")
@cluster_options
def suspend(name: str, *, cluster: ClusterFlags) -> int:
    """Reconcile the plan NAME no more: what is under way in AWS goes on, and a deletion is still carried out.

    It sets spec.suspend. A GitOps tool that heals itself puts it back: then the manifest is the place for it.
    """
    return with_cluster(cluster, lambda access: _set(access, name, value=True))


@click.command()
@click.argument("name")
@cluster_options
def resume(name: str, *, cluster: ClusterFlags) -> int:
    """Reconcile the suspended plan NAME again: takes spec.suspend away."""
    return with_cluster(cluster, lambda access: _set(access, name, value=False))


async def _set(access: Access, name: str, *, value: bool) -> int:
    resource = await resource_of(access, name)
    word = "suspended" if value else "resumed"
    if bool(resource.readable_spec.suspend) == value:
        click.echo(f"{resource.key}: {'is suspended already' if value else 'was not suspended'}")
        return DONE
    # Taken away rather than set to false: the object is then as it was before.
    await access.patch(name, {"spec": {"suspend": True if value else None}})
    click.echo(f"{resource.key}: {word}" + (f"; {UNWATCHED}" if value and resource.status.unfinished else ""))
    return DONE
