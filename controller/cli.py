"""The `edgeplan` command, `kubectl edgeplan` too: a module of `commands` for each of its verbs.

A verb is imported when it runs: `edgeplan validate` in a commit hook should not wait for boto3 and Kopf.
"""

import sys
from importlib import import_module

import click

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "Run the operator."),
    "validate": ("validate", "Check manifests offline, as kubectl and the API server would."),
    "diff": ("diff", "Show what the controller would do to AWS for manifests."),
    "export": ("export", "Write the manifest of a plan that exists in AWS."),
    "get": ("get", "Show plans: stages, devices, gate, what comes next."),
    "wait": ("wait", "Wait until a plan is ready; fail at once when it is stalled."),
    "events": ("events", "Show the events of a plan, or of all."),
    "promote": ("promote", "Let a rollout go on: print the change of the manifest, or make it."),
    "reconcile": ("reconcile", "Ask for a reconcile now."),
    "retry": ("retry", "Try a plan that is stalled, or waits for its next try, again now."),
    "suspend": ("suspend", "Reconcile a plan no more, until it is resumed."),
    "resume": ("suspend", "Reconcile a suspended plan again."),
    "check": ("check", "Check the definition, the operator, the AWS identity and each account."),
    "orphans": ("orphans", "List plans in AWS that this cluster's objects left behind."),
    "crd": ("crd", "Generate the CustomResourceDefinition from the models."),
    "completion": ("completion", "Print the completion of commands and flags for a shell."),
    "version": ("version", "Print the version."),
}
"""Of each command: the module that has it, and its line in the help."""


class _Verbs(click.Group):
    """Commands that are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"controller.commands.{COMMANDS[cmd_name][0]}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
def edgeplan() -> None:
    """Edge deployment plans of AWS SageMaker, kept in step with Kubernetes objects."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the process's exit code. A wrong use of it is 2."""
    try:
        code = edgeplan.main(arguments, prog_name="edgeplan", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
