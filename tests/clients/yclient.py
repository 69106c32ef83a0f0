"""A client of the y-websocket protocol in Python, over any replica."""

import asyncio
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.clients import frames
from tests.clients.replicas import Content, PycrdtReplica, Replica, Step

WAIT_S = 30


class YClient:
    """One person at one graph. Edits made while disconnected travel with the next `connect`.

    Every wait ends after WAIT_S with TimeoutError. When the server closes the connection, waits
    for it end with ConnectionClosed, and `close_code` says why.
    """

    def __init__(self, url: str, replica: Replica | None = None) -> None:
        self.url = url
        self.replica = replica or PycrdtReplica()
        self.close_code: int | None = None
        self.inbound_frames = 0
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._arrival = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._last_token = 0

    async def __aenter__(self) -> "YClient":
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    async def connect(self) -> None:
        """Afterwards both sides have sent what the other lacked when the connection opened."""
        self._socket = await connect(self.url, compression=None, max_size=None, open_timeout=WAIT_S)
        self.close_code = None
        heard_step1, heard_step2 = asyncio.Event(), asyncio.Event()
        self._reader = asyncio.create_task(self._read(self._socket, heard_step1, heard_step2))
        await self._socket.send(frames.sync(frames.STEP1, self.replica.state_vector()))
        await self._greet(self._socket)
        synced = asyncio.gather(heard_step1.wait(), heard_step2.wait())
        await self._while_connected(synced)

    async def disconnect(self) -> None:
        """Say goodbye; what was sent before is read by the server. Without effect when disconnected."""
        if self._socket is None or self._reader is None:
            return
        await asyncio.wait_for(self._socket.close(), WAIT_S)
        await asyncio.wait_for(self._reader, WAIT_S)
        self._socket = self._reader = None

    @property
    def is_connected(self) -> bool:
        """Whether it is between `connect` and `disconnect`."""
        return self._socket is not None

    def abort(self) -> None:
        """Drop the connection without a goodbye, as a crash or a lost network does."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def closed(self) -> int | None:
        """Wait until the server has closed the connection, and return its code."""
        assert self._reader is not None, "connect first"
        await asyncio.wait_for(asyncio.shield(self._reader), WAIT_S)
        return self.close_code

    async def edit(self, *steps: Step) -> None:
        """Make `steps` in one transaction and send it, if connected."""
        for update in self.replica.edit(*steps):
            if self._socket is not None:
                await self.send_update(update)

    async def send_update(self, update: bytes) -> None:
        """Send an update as it is, whether or not the replica has it."""
        await self._send(frames.sync(frames.UPDATE, update))

    async def ask_saved(self) -> "asyncio.Future[None]":
        """Send message 102; the future is done at its echo, or fails with the connection."""
        self._last_token += 1
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[self._last_token] = heard
        await self._send(frames.saved(self._last_token))
        return heard

    async def saved(self) -> None:
        """Wait until everything sent so far is acknowledged as durable."""
        await asyncio.wait_for(await self.ask_saved(), WAIT_S)

    async def arrival(self) -> None:
        """Wait until another sync message has been applied."""
        self._arrival.clear()
        await self._while_connected(asyncio.ensure_future(self._arrival.wait()))

    async def content(self) -> Content:
        return self.replica.content()

    async def _greet(self, socket: ClientConnection) -> None:
        """Send what belongs straight after the first message; nothing here."""

    async def _send(self, frame: bytes) -> None:
        assert self._socket is not None, "connect first"
        async with asyncio.timeout(WAIT_S):  # not wait_for: up to Python 3.11 that can swallow a cancellation
            await self._socket.send(frame)

    async def _while_connected(self, wait: "asyncio.Future[Any]") -> None:
        assert self._reader is not None, "connect first"
        done, _ = await asyncio.wait((wait, self._reader), timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        if wait in done:
            return
        wait.cancel()
        with suppress(asyncio.CancelledError):
            await wait
        if self._reader not in done:
            raise TimeoutError(f"heard nothing from {self.url} for {WAIT_S} s")
        self._reader.result()
        raise ConnectionError(f"the server closed {self.url} with {self.close_code}")

    async def _read(self, socket: ClientConnection, heard_step1: asyncio.Event, heard_step2: asyncio.Event) -> None:
        try:
            async for frame in socket:
                assert isinstance(frame, bytes), "the server sent a text frame"
                kind = self._receive(frame)
                if kind == frames.STEP1:
                    _, state_vector = frames.read_sync(frame)
                    await socket.send(frames.sync(frames.STEP2, self.replica.missing_to(state_vector)))
                    heard_step1.set()
                elif kind == frames.STEP2:
                    heard_step2.set()
        except ConnectionClosed:
            pass  # the code below tells
        finally:
            self.close_code = socket.close_code
            self._give_up_waiting()

    def _receive(self, frame: bytes) -> int | None:
        """Take in one frame and return its kind if it is a sync message."""
        self.inbound_frames += 1
        message, offset = frames.read_varuint(frame)
        if message == frames.SAVED:
            token, _ = frames.read_varuint(frame, offset)
            heard = self._waiting.pop(token)
            if not heard.done():
                heard.set_result(None)
        if message != frames.SYNC:
            return None
        kind, payload = frames.read_sync(frame)
        if kind != frames.STEP1:
            self.replica.apply(payload)
            self._arrival.set()
        return kind

    def _give_up_waiting(self) -> None:
        for heard in self._waiting.values():
            heard.cancel(f"the server closed the connection with {self.close_code}")
        self._waiting.clear()
