"""A man in the middle who says "saved" too early, to show that the checker would notice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.clients import frames

_LIES_AFTER_S = 0.03


@asynccontextmanager
async def lying_proxy(server_port: int) -> AsyncIterator[int]:
    """Yield the port of a proxy to `server_port` that answers message 102 itself, after 30 ms."""

    async def handle(client: ServerConnection) -> None:
        assert client.request is not None
        upstream = f"ws://127.0.0.1:{server_port}{client.request.path}"
        async with connect(upstream, compression=None, max_size=None) as server:
            inbound = asyncio.create_task(_forward_all(server, client))
            with suppress(ConnectionClosed):
                await _forward_but_answer(client, server)
            inbound.cancel()
            with suppress(asyncio.CancelledError):
                await inbound

    async with serve(handle, "127.0.0.1", 0, compression=None, max_size=None) as proxy:
        port: int = next(iter(proxy.sockets)).getsockname()[1]
        yield port


async def _forward_all(server: ClientConnection, client: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        async for frame in server:
            await client.send(frame)
    await client.close()


async def _forward_but_answer(client: ServerConnection, server: ClientConnection) -> None:
    async with asyncio.TaskGroup() as lies:
        async for frame in client:
            assert isinstance(frame, bytes)
            if frame.startswith(frames.varuint(frames.SAVED)):
                lies.create_task(_lie(client, frame))
            else:
                await server.send(frame)


async def _lie(client: ServerConnection, frame: bytes) -> None:
    await asyncio.sleep(_LIES_AFTER_S)
    with suppress(ConnectionClosed):
        await client.send(frame)
