"""`edgeplan events [NAME]`: what happened, the oldest first."""

import json
from datetime import UTC, datetime

import click

from controller.cluster.access import Access
from controller.commands.get import make_console
from controller.commands.options import ClusterFlags, cluster_options, output_option
from controller.commands.session import DONE, TROUBLE, complain, with_cluster
from controller.commands.view import event_table


@click.command()
@click.argument("name", required=False)
@click.option("-A", "--all-namespaces", is_flag=True, help="Events of all namespaces.")
@output_option("json")
@cluster_options
def events(name: str | None, *, all_namespaces: bool, output: str | None, cluster: ClusterFlags) -> int:
    """Show the events of the plan NAME, or of all plans, the oldest first. Kubernetes keeps them for an hour."""

    async def work(access: Access) -> int:
        found = await access.events(name, everywhere=all_namespaces)
        if found is None:
            complain("reading events is not allowed here")
            return TROUBLE
        if output:
            rows = [
                {
                    "time": each.time.isoformat(),
                    "name": each.name,
                    "type": each.type,
                    "reason": each.reason,
                    "note": each.note,
                    "count": each.count,
                }
                for each in found
            ]
            click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        elif found:
            make_console().print(event_table(found, datetime.now(UTC), with_name=name is None))
        else:
            click.echo("no events", err=True)
        return DONE

    return with_cluster(cluster, work)
