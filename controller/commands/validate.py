"""`edgeplan validate FILE...`: manifests checked offline, as kubectl reads them and the API server judges them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click

from controller.commands.options import files_argument, output_option
from controller.schema.manifests import Problem, RuleId, check

OK, WRONG = 0, 1

_RULES = {
    "unreadable": "The file cannot be read as kubectl reads it.",
    "no-such-kind": "Kind or group is close to EdgeDeploymentPlan of edgeplan.dev, but is not it.",
    "invalid": "The API server refuses the value.",
    "empty": "There is no EdgeDeploymentPlan where one was expected.",
}


@click.command()
@files_argument
@click.option("--allow-empty", is_flag=True, help="Take a folder, or standard input, without any plan for good.")
@output_option("json", "sarif")
def validate(files: Sequence[Path], *, allow_empty: bool, output: str | None) -> int:
    """Check manifests offline, as kubectl reads them and the API server judges them.

    FILE is a manifest, a folder of them, or - for standard input. Prints FILE:LINE: FIELD: PROBLEM for each problem.
    Exit code 0: none, 1: some.
    """
    problems, checked = check(files, allow_empty=allow_empty)
    if output is None:
        for problem in problems:
            click.echo(problem)
        click.echo(_summary(problems, checked), err=True)
    else:
        click.echo(json.dumps(as_sarif(problems) if output == "sarif" else as_json(problems, checked), indent=2))
    return WRONG if problems else OK


def _summary(problems: Sequence[Problem], checked: int) -> str:
    unread = len({each.file for each in problems if each.rule == "unreadable"})
    parts = [f"{checked} checked"]
    parts += [f"{unread} {'file' if unread == 1 else 'files'} not read to the end"] if unread else []
    later = " (rules over several fields are checked where each field is right)" if _hides_more(problems) else ""
    return ", ".join([*parts, f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}{later}"])


def _hides_more(problems: Sequence[Problem]) -> bool:
    """Whether there may be more to find once these are mended: the API server says so too."""
    return any(each.rule == "invalid" and each.field.startswith("spec") for each in problems)


def as_json(problems: Sequence[Problem], checked: int) -> dict[str, Any]:
    """The problems for a program."""
    return {
        "checked": checked,
        "problems": [
            {"file": each.file, "line": each.line, "field": each.field, "message": each.text, "rule": each.rule}
            for each in problems
        ],
    }


def as_sarif(problems: Sequence[Problem]) -> dict[str, Any]:
    """The problems as SARIF 2.1.0, which code hosts show beside the lines."""
    rules = [{"id": rule, "shortDescription": {"text": _RULES[rule]}} for rule in get_args(RuleId)]
    results = [
        {
            "ruleId": each.rule,
            "level": "error",
            "message": {"text": f"{each.field}: {each.text}" if each.field else each.text},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": Path(each.file).as_posix()},
                        "region": {"startLine": each.line},
                    }
                }
            ],
        }
        for each in problems
    ]
    driver = {"name": "edgeplan validate", "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
