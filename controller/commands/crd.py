"""`edgeplan crd [FOLDER]`: the CustomResourceDefinition, printed, written or compared with the file that is there."""

import sys
from pathlib import Path

import click

from controller.schema import crd as definition
from controller.schema.generated import write_or_check


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the file there is out of date.")
def crd(folder: Path | None, *, check: bool) -> int:
    """Generate the CustomResourceDefinition from the models: print it, or write it into FOLDER."""
    if folder is None:
        sys.stdout.write(definition.render())
        return 0
    files = {folder / definition.FILE_NAME: definition.render()}
    return write_or_check(files, check=check, command=f"edgeplan crd {folder}")
