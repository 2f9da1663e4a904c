"""Where a resource lives: one region of one account, and the ARNs in it."""

from __future__ import annotations

import re
from typing import NamedTuple

ACCOUNT = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z0-9-]{1,32}")
PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


class Scope(NamedTuple):
    """One region of one account; resources of different scopes never meet."""

    account: str
    region: str

    @property
    def partition(self) -> str:
        """The second word of every ARN."""
        return next((name for prefix, name in PARTITIONS.items() if self.region.startswith(prefix)), "aws")

    def subject(self, arn: str) -> tuple[str, str] | None:
        """Kind and name of the resource with an ARN; that of another account or region is nobody's here."""
        kind, _, name = arn.split(":", 5)[-1].partition("/")
        return (kind, name) if self.arn(kind, name) == arn else None

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a resource, in the form of the service authorization reference."""
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.account}:{kind}/{name}"
