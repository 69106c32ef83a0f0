"""Clients that are refused at the door and come again and again, with the waits of stock clients."""

import asyncio
import base64
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_FIRST_WAIT_S = 0.1  # y-websocket 3, `setupWS`: 2^n * 100 ms, at most maxBackoffTime
_LONGEST_WAIT_S = 2.5
_PATIENCE_S = 30


class Storm:
    """Many clients at doors that do not let them in; `answers` counts the statuses, 0 for none."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()

    @staticmethod
    @asynccontextmanager
    async def of(doors: Sequence[str], clients: int, seed: int) -> AsyncIterator["Storm"]:
        """`clients` clients, each at one of `doors` in turn, until the block ends."""
        storm = Storm()
        async with asyncio.TaskGroup() as tasks:
            coming = [
                tasks.create_task(storm._come_again(doors[number % len(doors)], random.Random(seed + number)))
                for number in range(clients)
            ]
            try:
                yield storm
            finally:
                for client in coming:
                    client.cancel()

    async def _come_again(self, door: str, chance: random.Random) -> None:
        wait_s = _FIRST_WAIT_S
        await asyncio.sleep(chance.random())  # they do not all lose their connection in the same millisecond
        while True:
            status = 0
            with suppress(OSError, asyncio.IncompleteReadError):
                status = await _knock(door)
            self.answers[status] += 1
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


async def _knock(door: str) -> int:
    """Ask to be let in, read the answer to its end, and return its status."""
    where = urlsplit(door)
    async with asyncio.timeout(_PATIENCE_S):
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            writer.write(
                f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            status = int((await reader.readuntil(b"\r\n")).split()[1])
            await reader.read()
            return status
        finally:
            writer.close()
