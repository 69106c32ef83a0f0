"""A client of either dialect that brings updates and counts what it was told."""

import asyncio
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.dialects import SYNC_STATUS, Address, length_prefixed
from tests.clients import frames
from tests.clients.replicas import PycrdtReplica, Step

WAIT_S = 60


class Client:
    """One person at one document, who had nothing before; `told` is called with each "saved" as the server numbers it.

    A SyncStatus is numbered by counting, an echo by the number that was asked with.
    """

    def __init__(
        self, address: Address, replica: PycrdtReplica | None = None, told: Callable[[int], None] | None = None
    ) -> None:
        self.replica = replica or PycrdtReplica()
        self._address = address
        self._told = told or (lambda _: None)
        self._statuses = 0
        self._synced, self._arrival = asyncio.Event(), asyncio.Event()
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Client":
        self._socket = await connect(self._address.url, compression=None, max_size=None, ping_interval=None)
        self._reader = asyncio.create_task(self._read(self._socket))
        for message in self._address.greeting():
            await self._socket.send(message)
        await asyncio.wait_for(self._synced.wait(), WAIT_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave, after reading what the server had sent."""
        assert self._socket is not None
        await self._socket.close()
        await self.ended()

    async def ended(self) -> None:
        """Wait until the connection is gone and everything that came on it was read."""
        assert self._reader is not None
        await asyncio.wait_for(self._reader, WAIT_S)

    async def edit(self, *steps: Step) -> None:
        """Make `steps` in one transaction and send it."""
        assert self._socket is not None
        for update in self.replica.edit(*steps):
            await self._socket.send(self._address.update(update))

    async def ask_saved(self, number: int) -> None:
        """Ask, in our own dialect, to be told `number` once everything sent so far is saved."""
        assert self._socket is not None
        await self._socket.send(frames.saved(number))

    async def arrival(self) -> None:
        """Wait until another update has come."""
        self._arrival.clear()
        await self._arrival.wait()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for frame in socket:
                assert isinstance(frame, bytes), "the server sent a text frame"
                self._receive(*self._address.read(frame))
        except ConnectionClosed:
            pass  # killed, which is the point

    def _receive(self, kind: int, rest: bytes) -> None:
        if kind == frames.SYNC and rest[0] != frames.STEP1:
            self.replica.apply(length_prefixed(rest[1:]))
            self._arrival.set()
            if rest[0] == frames.STEP2:
                self._synced.set()
        elif kind == frames.SAVED:
            self._told(frames.read_varuint(rest)[0])
        elif kind == SYNC_STATUS and rest == b"\x01":
            self._statuses += 1
            self._told(self._statuses)
