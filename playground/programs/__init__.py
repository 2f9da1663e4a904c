"""Find the Kubernetes programs on this machine, or build them once from the Go module proxy.

`LocalCluster`, the demo and the tests call `find_or_build`; nothing else in the project needs Go.
"""

from __future__ import annotations

from playground.programs.build import BuildFailedError, GoMissingError, build
from playground.programs.find import ASSETS_VARIABLE, cache_folder, find, find_or_build
from playground.programs.progress import PlainProgress, Progress, TerminalProgress, progress_for
from playground.programs.table import PROGRAMS, Program

__all__ = [
    "ASSETS_VARIABLE",
    "PROGRAMS",
    "BuildFailedError",
    "GoMissingError",
    "PlainProgress",
    "Program",
    "Progress",
    "TerminalProgress",
    "build",
    "cache_folder",
    "find",
    "find_or_build",
    "progress_for",
]
