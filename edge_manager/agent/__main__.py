"""`edge-manager-agent --config FILE`."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from edge_manager.agent import VERSION
from edge_manager.agent.config import add_options, read
from edge_manager.agent.errors import ConfigError, FolderError
from edge_manager.agent.loop import Agent

BAD_CONFIG = 2


def run(parsed: argparse.Namespace) -> int:
    """Run the agent; the process's exit code."""
    os.umask(0o022)  # the owner's programs read the models
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for name in ("botocore", "boto3", "urllib3"):  # botocore logs credentials at DEBUG
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        config = read(parsed.config)
        if not parsed.check_config:
            Agent(config).run()
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201  whoever starts it reads this
        return BAD_CONFIG
    except FolderError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="edge-manager-agent", description="Runs models that an Edge Manager deploys.")
    parser.add_argument("--version", action="version", version=VERSION)
    add_options(parser)
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
