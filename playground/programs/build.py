"""Build programs with the Go toolchain from modules pinned by checksum, visibly and interruptibly.

Each program lands in the cache by one rename, so the cache never holds half of one. Go's own build cache
keeps every package that was compiled: a build that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from playground.programs.process import spawn, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from playground.programs.progress import Progress
    from playground.programs.table import Program

GO_NEEDED: Final = "1.26"
_SCRATCH: Final = ".building-"


class GoMissingError(Exception):
    """A program has to be built and this machine has no Go, or one that is too old."""

    def __init__(self, programs: Sequence[Program], why: str) -> None:
        names = ", ".join(program.name for program in programs)
        super().__init__(
            f"{names}: not on this machine, and {why}\n"
            "Any one of these helps:\n"
            f"  - set KUBEBUILDER_ASSETS to a folder that holds {names}\n"
            "    (the folder that setup-envtest or kubebuilder prints is one)\n"
            f"  - install Go {GO_NEEDED} or newer; the programs are then built once, which takes some minutes\n"
            f"  - copy the programs into the cache from a machine that has built them: {_cache_hint()}"
        )


class BuildFailedError(Exception):
    """Go ended with an error; the message carries the end of what it said."""


def build(programs: Sequence[Program], *, into: Path, progress: Progress) -> Mapping[str, Path]:
    """Build each program that `into` lacks; one process builds at a time, others wait and use the result."""
    go = shutil.which("go")
    if go is None:
        raise GoMissingError(programs, "there is no Go to build it with (no `go` on PATH).")
    into.mkdir(parents=True, exist_ok=True)
    with progress, _lock(into, progress):
        missing = [program for program in programs if not (into / program.name).exists()]
        if missing:
            progress.say(_announcement(missing, into))
        for program in missing:
            _build_one(go, program, programs, into, progress)
    return {program.name: into / program.name for program in programs}


def _build_one(go: str, program: Program, programs: Sequence[Program], into: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=into) as scratch_name:
        scratch = Path(scratch_name)
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",  # no C compiler needed, and a binary that runs on any distribution
            "GOFLAGS": "-mod=readonly",  # the pins are the pins, whatever the user's own flags say
            "GOWORK": "off",
            "GOTMPDIR": scratch_name,
        }

        def run(*arguments: str, on_line: Callable[[str], None]) -> list[str]:
            return _run([go, *arguments], program.pins, environment, scratch, on_line)

        try:
            # The cheapest command that reads go.mod, and so says whether this Go is new enough for it.
            run("list", "-m", on_line=lambda line: progress.count(0, detail=line))
        except BuildFailedError as error:
            raise GoMissingError(programs, f"its Go cannot be used: {error}") from None

        progress.step(f"{program.name}: downloading its source modules")
        downloads = _Counter(progress, "go: downloading ")
        flags = ["-trimpath", "-buildvcs=false"]
        packages = run("list", "-deps", *flags, program.package, on_line=downloads)

        progress.step(f"{program.name}: compiling")
        target = scratch / program.name
        compiled = _Counter(progress, "", total=len(packages))
        flags += [f"-gcflags={pattern}" for pattern in program.compiler_flags]
        flags += ["-ldflags", program.linker_flags]
        run("build", "-v", *flags, "-o", str(target), program.package, on_line=compiled)
        target.replace(into / program.name)
        progress.say(f"{program.name}: built, {(into / program.name).stat().st_size / 1e6:.0f} MB")


class _Counter:
    """Counts the lines of Go's stderr that begin with a prefix, but for Go's remarks, and shows the count."""

    def __init__(self, progress: Progress, prefix: str, total: int | None = None) -> None:
        self._progress = progress
        self._prefix = prefix
        self._total = total
        self._done = 0

    def __call__(self, line: str) -> None:
        what = line.removeprefix(self._prefix)
        if line.startswith(self._prefix) and what and not what.startswith(("go: ", "# ", "warning: ")):
            self._done += 1
            self._progress.count(self._done, self._total, what)


def _run(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], scratch: Path, on_line: Callable[[str], None]
) -> list[str]:
    """Run Go, hand on each line of its stderr as it comes, return the lines of its stdout."""
    said: deque[str] = deque(maxlen=15)
    with (scratch / "stdout").open("w+b") as stdout:
        process = spawn(command, cwd=cwd, env=environment, stdout=stdout, stderr=subprocess.PIPE)
        try:
            for line in _lines(process.stderr):
                said.append(line)
                on_line(line)
            code = process.wait()
        finally:
            stop(process)
        if code != 0:
            raise BuildFailedError(f"`{' '.join(command[:2])}` exited {code}:\n" + "\n".join(said))
        stdout.seek(0)
        return stdout.read().decode().splitlines()


def _lines(stream: IO[bytes] | None) -> Iterator[str]:
    if stream is not None:
        with stream:
            for line in stream:
                yield line.decode(errors="replace").rstrip()


@contextlib.contextmanager
def _lock(folder: Path, progress: Progress) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.step(f"waiting for another process that builds in {folder}")
            fcntl.flock(file, fcntl.LOCK_EX)
        # Whoever held the lock before may have been killed: what it left is nobody's.
        for leftover in folder.glob(f"{_SCRATCH}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _announcement(programs: Sequence[Program], into: Path) -> str:
    return (
        f"Building {', '.join(program.name for program in programs)} from pinned source, this once, into {into}.\n"
        "That takes some minutes. Ctrl-C is safe at any time: the next run goes on where this one stopped."
    )


def _cache_hint() -> str:
    return "$XDG_CACHE_HOME or ~/.cache, folder edgeplan/kubernetes/"
