"""A TCP proxy before PostgreSQL that freezes, delays, cuts and refuses on command, in the middle of a message too."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from urllib.parse import parse_qs, urlsplit

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close sends RST (tcp(7))
_CHUNK_BYTES = 64 * 1024
_LOG_SAYS = b"crdt_flushes"


class Way(Enum):
    """Which way bytes go."""

    TO_POSTGRES = auto()
    TO_SERVER = auto()


BOTH = tuple(Way)


class Link:
    """One connection through the proxy; `is_log` once it carried a flush, which only the log's connection does."""

    def __init__(self, server: asyncio.StreamWriter, postgres: asyncio.StreamWriter) -> None:
        self.is_log = False
        self.is_abandoned = False
        self.told = asyncio.Event()
        """Set once PostgreSQL may hear that the server's side is gone."""
        self._ends = (server, postgres)
        self._left: dict[Way, int] = {}
        self._tail = b""

    def cut(self, *, reset: bool = True) -> None:
        """End both sides now, by RST or by FIN."""
        for end in self._ends:
            _end(end, reset=reset)

    def abandon(self) -> None:
        """End the server's side only: PostgreSQL is not told before `heal`, as when a network is gone."""
        self.is_abandoned = True
        _end(self._ends[0], reset=True)

    def cut_after(self, count: int, way: Way) -> None:
        """Carry exactly `count` bytes more that way, then cut."""
        self._left[way] = count

    def spare(self) -> None:
        """Take `cut_after` back."""
        self._left.clear()

    def allowed(self, data: bytes, way: Way) -> bytes:
        """Return what of `data` may still be carried, and count it; less than all of it is the end."""
        left = self._left.get(way)
        if left is None:
            return data
        self._left[way] = left - len(data)
        return data[:left]

    def says(self, data: bytes, needle: bytes) -> bool:
        """Return whether `needle` ends in `data`, though it may have begun before."""
        return needle in self._tail[-len(needle) + 1 :] + data

    def note(self, data: bytes) -> None:
        """Remember what was just said to PostgreSQL."""
        self.is_log |= self.says(data, _LOG_SAYS)
        self._tail = data[-100:]


Strike = Callable[[Link], None]


class Proxy:
    """Carries every connection to 127.0.0.1:`port` to PostgreSQL, faithfully until it is told otherwise.

    `url` is the database through it. What it does by chance is drawn from `seed`.
    """

    port: int

    def __init__(self, target_url: str, seed: int) -> None:
        self.links: set[Link] = set()
        self.chance = random.Random(seed)
        self._target = target_url
        self._thawed = {way: asyncio.Event() for way in Way}
        self._wires: list[tuple[bytes, bool, Strike]] = []
        self._lives: set[asyncio.Task[None]] = set()
        self.heal()

    @staticmethod
    @asynccontextmanager
    async def before(target_url: str, seed: int) -> AsyncIterator["Proxy"]:
        """A proxy before the database at `target_url`; at the end nothing of it is left."""
        proxy = Proxy(target_url, seed)
        server = await asyncio.start_server(proxy._welcome, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            for life in proxy._lives:
                life.cancel()
            await asyncio.gather(*proxy._lives, return_exceptions=True)

    @property
    def url(self) -> str:
        parts = urlsplit(self._target)
        return f"postgresql://{parts.username}@127.0.0.1:{self.port}{parts.path}?sslmode=disable"

    def freeze(self, *ways: Way) -> None:
        """Carry nothing more those ways, by default both; what is on its way stays there."""
        for way in ways or BOTH:
            self._thawed[way].clear()

    def delay(self, delay_ms: float) -> None:
        """Carry everything later, in its order."""
        self._delay_s = delay_ms / 1000

    def refuse(self) -> None:
        """Reset new connections at once; those that exist stay."""
        self._is_refusing = True

    def cut(self, *, reset: bool = True) -> None:
        """End every connection now, by RST or by FIN, whatever was on its way."""
        for link in self.links:
            link.cut(reset=reset)

    def watch(self, needle: bytes, strike: Strike, *, log_only: bool = False) -> asyncio.Event:
        """Strike once, just before `needle` reaches PostgreSQL; the event that is returned says that it happened."""
        struck = asyncio.Event()

        def once(link: Link) -> None:
            strike(link)
            struck.set()

        self._wires.append((needle, log_only, once))
        return struck

    def heal(self) -> None:
        """Be faithful again, and watch for nothing; connections that were cut stay so, the abandoned ones too."""
        for link in self.links:
            link.spare()
            link.told.set()
            if link.is_abandoned:
                link.cut()
        self._delay_s = 0.0
        self._is_refusing = False
        self._wires.clear()
        for thawed in self._thawed.values():
            thawed.set()

    def abandon(self) -> None:
        """Break every connection so that only the server notices."""
        for link in self.links:
            link.abandon()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        life = asyncio.current_task()
        assert life is not None
        self._lives.add(life)
        try:
            if self._is_refusing:
                return
            await self._live(reader, writer)
        finally:
            self._lives.discard(life)
            _end(writer, reset=True)

    async def _live(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_postgres, to_postgres = await _connect(self._target)
        link = Link(writer, to_postgres)
        self.links.add(link)
        try:
            await asyncio.gather(
                self._carry(link, reader, to_postgres, Way.TO_POSTGRES),
                self._carry(link, from_postgres, writer, Way.TO_SERVER),
            )
        finally:
            self.links.discard(link)
            _end(to_postgres, reset=False)

    async def _carry(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if way is Way.TO_POSTGRES:
                    self._trip(link, data)
                allowed = link.allowed(data, way)
                if not link.is_abandoned:
                    await self._write(allowed, writer, way)
                if len(allowed) < len(data):
                    link.cut()
            if link.is_abandoned:
                await link.told.wait()
            if writer.can_write_eof():
                writer.write_eof()

    async def _write(self, data: bytes, writer: asyncio.StreamWriter, way: Way) -> None:
        """Write in two parts, so that what happens between them happens in the middle of a message."""
        middle = self.chance.randrange(len(data) + 1)
        for part in (data[:middle], data[middle:]):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._thawed[way].wait()
            writer.write(part)
            await writer.drain()

    def _trip(self, link: Link, data: bytes) -> None:
        for wire in list(self._wires):
            needle, log_only, strike = wire
            if (link.is_log or not log_only) and link.says(data, needle):
                self._wires.remove(wire)
                strike(link)
        link.note(data)


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to where `url` leads: a host, or the folder of a unix socket."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    host, port = query.get("host", [parts.hostname or "127.0.0.1"])[0], parts.port or query.get("port", ["5432"])[0]
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, int(port))


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if not reset:
        writer.close()
        return
    connected: socket.socket | None = writer.get_extra_info("socket")
    if connected is not None and connected.fileno() >= 0 and connected.family != socket.AF_UNIX:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
