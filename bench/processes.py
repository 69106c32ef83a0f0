"""Load generators in processes of their own, in step with the measurement.

Each hears on standard input, as a line of JSON, what it is asked for; says "ready" on standard output once its clients
have joined, and waits for a line. It ends by itself or, if it is one that goes on without end, at a further line; then
it says "done" and prints one JSON object.
"""

import asyncio
import json
import select
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

_WITHIN_S = 120


class Generator:
    """One generator. Every wait ends with TimeoutError, and its end with EOFError."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @staticmethod
    @asynccontextmanager
    async def ready(module: str, **arguments: Any) -> AsyncIterator["Generator"]:
        """`module` with its clients joined; it is gone when the context ends."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            generator = Generator(process)
            generator._say(json.dumps(arguments))
            await generator._hear("ready")
            yield generator
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def go(self) -> None:
        """Let it begin."""
        self._say("go")

    def stop(self) -> None:
        """Let one that goes on without end come to its end."""
        self._say("stop")

    async def done(self) -> None:
        """Wait until it has sent and received everything."""
        await self._hear("done")

    async def report(self) -> dict[str, Any]:
        """What it measured."""
        report: dict[str, Any] = json.loads(await self._line())
        return report

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())

    async def _hear(self, word: str) -> None:
        heard = await self._line()
        assert heard == f"{word}\n", heard

    async def _line(self) -> str:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _WITHIN_S)
        if not line:
            raise EOFError("a load generator ended early")
        return line.decode()


def asked_for() -> dict[str, Any]:
    """What the generator is to do."""
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    return asked


def say_ready_and_wait() -> None:
    """The generator's side of `ready` and `go`."""
    print("ready", flush=True)
    sys.stdin.readline()


def is_told_to_stop() -> bool:
    """The generator's side of `stop`."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def say_done_and_report(report: dict[str, Any]) -> None:
    """The generator's side of `done` and `report`; its clients stay until it is ended."""
    print("done", flush=True)
    print(json.dumps(report), flush=True)
    sys.stdin.read()
