"""`make demo`: manifests become plans with an ARN, one meets the quota and gets in when another goes; all live.

`command` runs it, `story` is what happens and is checked, `world` what it happens in, `view` what is seen.
"""

from __future__ import annotations

from playground.demo.command import run

__all__ = ["run"]
