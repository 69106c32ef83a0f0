"""One client at one graph, in either dialect, that answers the server and says what it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from collab.wire.varuint import read_bytes
from tests.clients import frames, hclient
from tests.clients.hclient import HClient
from tests.clients.replicas import PycrdtReplica
from tests.integration.served import Served

WAIT_S = 20
TOKEN = 103


class Ending(NamedTuple):
    """How it ended: with which code the socket was closed, None if it was not, and why."""

    code: int | None
    reason: str


class Seat(Protocol):
    """Every wait ends after WAIT_S with TimeoutError."""

    async def writes(self, key: str) -> bool:
        """Set a key of the map; return whether it was saved, False if refused."""

    async def token(self, token: str) -> str:
        """Bring a further token, and return why it was refused, empty if it was taken."""

    async def ended(self) -> Ending:
        """Wait until no rights are left."""


class YSeat:
    """A client of the y dialect."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.replica, self._asked = socket, PycrdtReplica(), 0

    @staticmethod
    @asynccontextmanager
    async def taken(served: Served, graph: str, token: str) -> AsyncIterator["YSeat"]:
        async with connect(served.url(graph, token.replace(" ", "%20")), compression=None, close_timeout=1) as socket:
            seat = YSeat(socket)
            await socket.send(frames.sync(frames.STEP1, seat.replica.state_vector()))
            with suppress(ConnectionClosed):  # as `ended` will tell
                await seat._until(frames.SYNC, frames.STEP2)
            yield seat

    async def writes(self, key: str) -> bool:
        for update in self.replica.edit(["map.set", key, 1]):
            await self.socket.send(frames.sync(frames.UPDATE, update))
        self._asked += 1
        await self.socket.send(frames.saved(self._asked))
        while True:
            frame = await self._hear()
            if frame == frames.saved(self._asked):
                return True
            if frame.startswith(b"\x02\x00"):
                return False

    async def token(self, token: str) -> str:
        await self.socket.send(bytes((TOKEN,)) + hclient.string(token))
        return read_bytes(await self._until(TOKEN), 1)[0].decode()

    async def ended(self) -> Ending:
        try:
            while True:
                await self._hear()
        except ConnectionClosed:
            return Ending(self.socket.close_code, self.socket.close_reason or "")

    async def _until(self, *start: int) -> bytes:
        while not (frame := await self._hear()).startswith(bytes(start)):
            pass
        return frame

    async def _hear(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            frame = await self.socket.recv(decode=False)
            if frame.startswith(bytes((frames.SYNC, frames.STEP1))):
                missing = self.replica.missing_to(read_bytes(frame, 2)[0])
                await self.socket.send(frames.sync(frames.STEP2, missing))
        return frame


class HSeat:
    """A client of the Hocuspocus dialect; `scopes` is what Authenticated has said."""

    def __init__(self, client: HClient, graph: str) -> None:
        self.client, self.graph, self.replica = client, graph, PycrdtReplica()
        self.scopes: list[bytes] = []
        self.times_asked = 0
        """How often it was asked for a newer token, which it answers with `renewal` if there is one."""
        self.renewal: str | None = None
        self._ending: Ending | None = None

    @staticmethod
    @asynccontextmanager
    async def taken(served: Served, graph: str, token: str) -> AsyncIterator["HSeat"]:
        async with HClient.connected(served.hocuspocus_url) as client:
            seat = HSeat(client, graph)
            await seat._send(hclient.auth(token, hclient.VERSION), hclient.sync(hclient.STEP1, b"\x00"))
            await seat._until(hclient.SYNC, hclient.STEP2)
            await seat._status()
            yield seat

    async def writes(self, key: str) -> bool:
        for update in self.replica.edit(["map.set", key, 1]):
            await self._send(hclient.sync(hclient.UPDATE, update))
        return await self._status() == hclient.SAVED

    async def _status(self) -> bytes:
        return await self._until(hclient.SYNC_STATUS)

    async def _until(self, *start: int) -> bytes:
        """Return the next message that starts so, or the one that ended all."""
        message = b""
        while self._ending is None and not message.startswith(bytes(start)):
            message = await self._hear()
        return message

    async def token(self, token: str) -> str:
        """Of a token that is taken, and changes nothing, this dialect says nothing: this returns at once then."""
        await self._send(hclient.auth(token, hclient.VERSION))
        return ""

    async def ended(self) -> Ending:
        while self._ending is None:
            await self._hear()
        return self._ending

    async def asked(self) -> None:
        """Wait until asked for a newer token once more."""
        times = self.times_asked
        while self.times_asked == times:
            await self._hear()

    async def _send(self, *messages: bytes) -> None:
        await self.client.send(self.graph, *messages)

    async def _hear(self) -> bytes:
        message = (await self.client.hear()).message
        if message.startswith(bytes((hclient.SYNC, hclient.STEP1))):
            missing = self.replica.missing_to(hclient.payload_of(message))
            await self._send(hclient.sync(hclient.STEP2, missing))
        elif message == bytes((hclient.AUTH, 0)):
            self.times_asked += 1
            if self.renewal is not None:
                await self._send(hclient.auth(self.renewal, hclient.VERSION))
        elif message.startswith((b"\x02\x01", bytes((hclient.CLOSE,)))):
            self._ending = Ending(None, read_bytes(message, 2 if message[0] == hclient.AUTH else 1)[0].decode())
        elif message in (hclient.AUTHENTICATED, hclient.READ_ONLY):
            self.scopes.append(message)
        return message


SEATS: dict[str, type[YSeat] | type[HSeat]] = {"y": YSeat, "hocuspocus": HSeat}
