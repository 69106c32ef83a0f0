"""Which postmaster runs over a data folder, by the file it leaves there."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from persistence.errors import EmbeddedServerError
from persistence.programs import run

_NAME = "postmaster.pid"
_LINES = 8
_FAST_STOP_S = 60.0
_IMMEDIATE_STOP_S = 15.0
_POLL_S = 0.02
_PS_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a postmaster wrote about itself (src/include/utils/pidfile.h)."""

    data: Path
    pid: int
    socket_folder: str
    is_ready: bool

    @classmethod
    def read(cls, data: Path) -> "PidFile | None":
        """Return what the file in the folder `data` says; None if it is absent or a crash left it without sense."""
        try:
            lines = (data / _NAME).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return None
        if not lines or not lines[0].strip().isdecimal():
            return None
        lines += [""] * (_LINES - len(lines))
        return cls(data, int(lines[0]), lines[4], lines[7].strip() == "ready")

    async def is_alive(self) -> bool:
        """Whether this pid is a postmaster of this folder, and not a later owner of the number."""
        program, _, arguments = (await _command_line(self.pid)).partition(" -D ")
        return program.endswith("postgres") and f"{arguments} ".startswith(f"{self.data} ")

    async def stop(self) -> None:
        """Shut down this postmaster, which is not a child of ours: fast, then at once.

        Raises EmbeddedServerError if it outlives both.
        """
        for number, wait_s in ((signal.SIGINT, _FAST_STOP_S), (signal.SIGQUIT, _IMMEDIATE_STOP_S)):
            if not await self.is_alive():
                return
            os.kill(self.pid, number)
            if await self._is_gone_within(wait_s):
                return
        raise EmbeddedServerError(
            f"a PostgreSQL left over from an earlier run (process {self.pid}) does not stop; "
            f"end it with `kill -QUIT {self.pid}` and start again"
        )

    async def _is_gone_within(self, wait_s: float) -> bool:
        deadline = asyncio.get_running_loop().time() + wait_s
        while await self.is_alive():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True


async def reap(data: Path) -> None:
    """Stop the postmaster that a killed server left running over `data`; a file without sense is removed.

    The caller holds the lock of the directory, so whatever runs there has lost its owner.
    A file that names another program stays: PostgreSQL reads more from it than the pid.
    """
    found = PidFile.read(data)
    if found is None:
        (data / _NAME).unlink(missing_ok=True)
    else:
        await found.stop()


async def _command_line(pid: int) -> str:
    """Return how a process was called; empty when there is none, or when it only waits to be reaped."""
    if sys.platform == "linux":
        return _command_line_in_proc(pid)
    ps = ("/bin/ps", "-ww", "-o", "command=", "-p", str(pid))
    return (await run(*ps, timeout_s=_PS_TIMEOUT_S, env={"LC_ALL": "C"})).output.strip()


def _command_line_in_proc(pid: int) -> str:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return b" ".join(arguments).decode(errors="replace").strip()
