"""A wire between client and server that a test can cut, on both ends or on one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_PIECE_BYTES = 65_536


class Relay:
    """Carries TCP connections to a port of 127.0.0.1 until it is cut."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.last_accepted_at = float("-inf")
        """When the last connection came, by `time.monotonic`."""
        self._to_port = port
        self._is_open = True
        self._lines: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._half_open: list[asyncio.StreamWriter] = []

    @staticmethod
    @asynccontextmanager
    async def to(port: int) -> AsyncIterator["Relay"]:
        """A relay in front of `port`."""
        relay = Relay(port)
        server = await asyncio.start_server(relay._carry, "127.0.0.1", 0)
        relay.port = server.sockets[0].getsockname()[1]
        try:
            yield relay
        finally:
            server.close()
            relay.cut()
            relay.close_half_open()
            await server.wait_closed()

    def cut(self) -> None:
        """Break every connection without a goodbye, and refuse new ones until `mend`."""
        self._is_open = False
        for line in self._lines:
            for writer in line:
                writer.transport.abort()

    def cut_clients(self) -> None:
        """Break every connection so that only the clients notice."""
        for to_client, to_server in self._lines:
            to_client.transport.abort()
            self._half_open.append(to_server)

    def close_half_open(self) -> None:
        """Let the server notice too."""
        for writer in self._half_open:
            writer.transport.abort()
        self._half_open.clear()

    def mend(self) -> None:
        """Carry connections again."""
        self._is_open = True

    async def _carry(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if not self._is_open:
            to_client.transport.abort()
            return
        self.last_accepted_at = time.monotonic()
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to_port)
        line = (to_client, to_server)
        self._lines.add(line)
        try:
            await asyncio.gather(self._pump(from_client, to_server), self._pump(from_server, to_client))
        finally:
            self._lines.discard(line)
            to_client.close()
            if to_server not in self._half_open:
                to_server.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(_PIECE_BYTES):
                writer.write(piece)
                await writer.drain()
            if writer not in self._half_open:
                writer.close()
