"""`edgeplan version`: the version of this command."""

from importlib.metadata import version as version_of

import click

from controller.domain.api import API_VERSION


@click.command()
def version() -> int:
    """Print the version, and that of the resource that it knows."""
    click.echo(f"edgeplan {version_of('edgeplan')}, {API_VERSION}")
    return 0
