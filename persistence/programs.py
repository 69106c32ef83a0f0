"""Other programs, run to their end."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: its exit code, and what it wrote to both of its outputs."""

    code: int
    output: str

    @property
    def last_line(self) -> str:
        """The last line with words in it, where programs put the reason of a failure."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.code}"


async def run(*argv: str, timeout_s: float, env: Mapping[str, str]) -> Outcome:
    """Run a program to its end in a session of its own, so that Ctrl-C does not cut it short.

    It and its children are killed when this is cancelled and after `timeout_s`, which raises
    TimeoutError. Raises OSError when the program cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=env,
        cwd="/",  # ours may be a folder that the program's user cannot enter
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    assert process.returncode is not None
    return Outcome(process.returncode, output.decode(errors="replace"))
