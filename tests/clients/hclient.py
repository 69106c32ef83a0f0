"""A client of the Hocuspocus dialect that sends and hears exact bytes.

Source: @hocuspocus/provider 4.8.0 `OutgoingMessages`, `MessageReceiver.ts`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.clients.frames import read_varuint, varuint

WAIT_S = 20
SYNC, AWARENESS, AUTH, QUERY_AWARENESS, STATELESS, CLOSE, SYNC_STATUS = 0, 1, 2, 3, 5, 7, 8
STEP1, STEP2, UPDATE = 0, 1, 2
PING, PONG = b"\x09", b"\x0a"
VERSION = "4.8.0"

AUTHENTICATED = b"\x02\x02\x0aread-write"
READ_ONLY = b"\x02\x02\x08readonly"
SAVED, NOT_SAVED = b"\x08\x01", b"\x08\x00"


class Frame(NamedTuple):
    """An address and what follows it."""

    address: str
    message: bytes


def string(text: str | bytes) -> bytes:
    encoded = text.encode() if isinstance(text, str) else text
    return varuint(len(encoded)) + encoded


def sync(step: int, payload: bytes) -> bytes:
    return bytes((SYNC, step)) + string(payload)


def awareness(update: bytes) -> bytes:
    return bytes((AWARENESS,)) + string(update)


def auth(token: str, version: str | None = None) -> bytes:
    return bytes((AUTH, 0)) + string(token) + (b"" if version is None else string(version))


def stateless(payload: str) -> bytes:
    return bytes((STATELESS,)) + string(payload)


def denied(reason: str) -> bytes:
    return bytes((AUTH, 1)) + string(reason)


def payload_of(message: bytes) -> bytes:
    """The bytes of a sync message."""
    length, start = read_varuint(message, 2)
    assert len(message) == start + length
    return message[start:]


class HClient:
    """One socket. Every wait ends after WAIT_S with TimeoutError."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    @staticmethod
    @asynccontextmanager
    async def connected(url: str) -> AsyncIterator["HClient"]:
        async with connect(url, compression=None, max_size=None, ping_interval=None, close_timeout=1) as socket:
            yield HClient(socket)

    async def send(self, address: str | bytes, *messages: bytes) -> None:
        """Send messages for one address, a frame each."""
        for message in messages:
            await self.socket.send(string(address) + message)

    async def hear(self) -> Frame:
        """Return the next frame."""
        async with asyncio.timeout(WAIT_S):
            frame = await self.socket.recv()
        assert isinstance(frame, bytes)
        length, start = read_varuint(frame)
        return Frame(frame[start : start + length].decode(), frame[start + length :])

    async def until(self, address: str, start: bytes) -> list[Frame]:
        """Return what is heard up to the first message for `address` that starts so."""
        heard = [await self.hear()]
        while heard[-1].address != address or not heard[-1].message.startswith(start):
            heard.append(await self.hear())
        return heard

    async def open(self, address: str, token: str = "admin", version: str | None = VERSION) -> None:
        """Authenticate, and wait for the answer."""
        await self.send(address, auth(token, version))
        *_, answer = await self.until(address, bytes((AUTH,)))
        assert answer.message in (AUTHENTICATED, READ_ONLY), answer

    async def closed(self) -> tuple[int, str]:
        """Wait until the server closes the socket, and return its code and reason."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed:
            return self.socket.close_code or 0, self.socket.close_reason or ""
