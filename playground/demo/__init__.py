"""`make demo`: two acts, live, in which every promise is checked on all sides.

`command` runs them and `view` shows them. `plans` is the first act, in the `world` of a sandbox; `devices` is the second
one, in the world of `edge`: our Edge Manager with agents. `steps` is what both do.
"""

from __future__ import annotations

from playground.demo.command import run

__all__ = ["run"]
