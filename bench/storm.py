"""Clients whose rights end, and that come back as y-websocket 1.5 and 2.1 do, one at each of the doors it is given."""

import asyncio
import base64
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from bench.processes import asked_for, say_done_and_report, say_ready_and_wait
from bench.sockets import frame
from tests.clients import frames

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.5  # y-websocket 2.1 `setupWS`: 2^n * 100 ms, at most maxBackoffTime
_JOINS_AT_ONCE = 50
_CLOSE = 0x88


class Storm:
    """All clients. `closed_at` is on the monotonic clock of the machine."""

    def __init__(self, doors: list[str]) -> None:
        self._doors = doors
        self._joins = asyncio.Semaphore(_JOINS_AT_ONCE)
        self._joined = asyncio.Barrier(len(doors) + 1)
        self.closed_at: list[float] = []
        self.answers: Counter[int] = Counter()

    async def run(self) -> None:
        """Join, say so, and come back again and again until told to stop."""
        clients = [asyncio.create_task(self._come(door)) for door in self._doors]
        await self._joined.wait()
        await asyncio.to_thread(say_ready_and_wait)
        await asyncio.to_thread(sys.stdin.readline)
        for client in clients:
            client.cancel()

    async def _come(self, door: str) -> None:
        async with self._joins:
            reader, writer = await self._knock(door)
        await self._joined.wait()
        await self._stay(reader, writer)
        self.closed_at.append(time.monotonic())
        wait_s = _FIRST_WAIT_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            with suppress(OSError, asyncio.IncompleteReadError):
                _, writer = await self._knock(door)
                writer.close()

    async def _knock(self, door: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        where = urlsplit(door)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {where.path}?{where.query} HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        self.answers[int(head.split()[1])] += 1
        return reader, writer

    async def _stay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(frames.sync(frames.STEP1, b"\x00")))
        opcode = 0
        while opcode != _CLOSE:
            opcode, length = await reader.readexactly(2)
            if length == 126:  # RFC 6455 section 5.2
                length = int.from_bytes(await reader.readexactly(2))
            await reader.readexactly(length)
        writer.close()


async def run(doors: list[str]) -> dict[str, Any]:
    """Return what happened."""
    storm = Storm(doors)
    await storm.run()
    return {"closed_at": storm.closed_at, "answers": storm.answers}


if __name__ == "__main__":
    say_done_and_report(asyncio.run(run(asked_for()["doors"])))
