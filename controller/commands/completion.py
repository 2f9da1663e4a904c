"""`edgeplan completion SHELL`: what makes a shell complete commands and flags."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the completion for a shell; `source <(edgeplan completion bash)` in its start file has it at once."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "edgeplan", "_EDGEPLAN_COMPLETE").source())
    return 0
