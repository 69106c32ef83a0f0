"""What one client may take of a server: LIMIT-1 to LIMIT-5, at each bound, through real sockets."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from pycrdt import Map
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from collab.wire import sync
from persistence.database import Database
from tests.clients.eventually import eventually
from tests.clients.messages import messages
from tests.clients.yclient import YClient
from tests.integration.served import Served, serving
from tests.unit.documents import recorded

WAIT_S = 20


def entries(size: int, count: int) -> tuple[Any, list[bytes]]:
    """A document of `count` map entries of `size` characters each, and its updates, one an entry."""
    doc, updates = recorded(6)
    with_entries = doc.get("map", type=Map)
    for number in range(count):
        with_entries[f"k{number}"] = "x" * size
    return doc, updates


async def end_of(socket: ClientConnection) -> tuple[int | None, str | None]:
    """Read until the server closes, and return its code and reason."""
    async with asyncio.timeout(WAIT_S):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed:
            return socket.close_code, socket.close_reason


def narrow_socket(served: Served) -> socket.socket:
    """A connected socket whose system buffers little for it."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    narrow.connect(("127.0.0.1", served.port))
    narrow.setblocking(False)
    return narrow


async def gauge_of(http: httpx.AsyncClient, name: str) -> float:
    (value,) = re.findall(rf"(?m)^layercake_{name} (\S+)", (await http.get("/metrics")).text)
    return float(value)


async def gauge(served: Served, name: str) -> float:
    async with served.http() as http:
        return await gauge_of(http, name)


@asynccontextmanager
async def refused(url: str) -> AsyncIterator[InvalidStatus]:
    """The answer to a handshake that must be refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url):
            pass
    yield caught.value


async def test_LIMIT_1_an_update_over_the_bound_closes_its_connection(database: Database, database_url: str) -> None:
    small, large = entries(2_000, 1)[1][0], entries(4_100, 1)[1][0]
    async with serving(database, database_url, update_bytes=4_096) as served:
        graph = await served.create_graph()
        async with connect(served.url(graph)) as socket, YClient(served.url(graph)) as other:
            await socket.send(sync.update(small).payload)
            await socket.send(sync.update(large).payload)
            assert await end_of(socket) == (4413, f"an update of {len(large)} bytes; at most 4096 are taken")
            await other.saved()
            assert {key: len(value) for key, value in (await other.content()).map.items()} == {"k0": 2_000}


async def test_LIMIT_1_a_document_grows_to_its_bound_and_deletions_are_taken(
    database: Database, database_url: str
) -> None:
    _, updates = entries(1_000, 12)
    async with serving(database, database_url, document_bytes=10_000) as served:
        graph = await served.create_graph()
        async with connect(served.url(graph)) as socket:
            for update in updates:
                await socket.send(sync.update(update).payload)
            code, reason = await end_of(socket)
        assert code == 4413
        assert reason is not None
        assert reason.startswith("a document of 10")
        async with YClient(served.url(graph)) as other:
            kept = (await other.content()).map
            assert sorted(kept) == sorted(f"k{number}" for number in range(len(kept)))
            assert len(kept) == 9
            for _ in range(2):  # what is known already is no growth
                await other.send_update(updates[0])
            await other.edit(*(["map.delete", key] for key in kept))
            await other.edit(["map.set", "again", "x" * 1_000])
            await other.saved()
            assert set((await other.content()).map) == {"again"}


async def test_LIMIT_2_a_full_graph_refuses_a_further_client_until_one_leaves(
    database: Database, database_url: str
) -> None:
    async with serving(database, database_url, sessions_per_graph=2) as served:
        graph, another = await served.create_graph(), await served.create_graph()
        async with connect(served.url(graph)), connect(served.url(another)):
            async with connect(served.url(graph)), refused(served.url(graph)) as answer:
                assert answer.response.status_code == 503
                assert answer.response.headers["Retry-After"] == "1"
                assert b"2 clients are in this graph" in (answer.response.body or b"")

            async def sessions() -> float:
                return await gauge(served, "sessions")

            await eventually(sessions, lambda count: count == 2)
            async with connect(served.url(graph)):
                pass


async def test_LIMIT_2_an_address_with_too_many_sockets_is_refused_a_further_one(
    database: Database, database_url: str
) -> None:
    async with serving(database, database_url, connections_per_address=3) as served, AsyncExitStack() as sockets:
        graph = await served.create_graph()
        last = [await sockets.enter_async_context(connect(served.url(graph))) for _ in range(3)][-1]
        async with refused(served.url(graph)) as answer:
            assert answer.response.status_code == 429
            assert answer.response.headers["Retry-After"] == "1"
            assert b"your address" in (answer.response.body or b"")
        await last.close()

        async def connections() -> float:
            return await gauge(served, "connections")

        await eventually(connections, lambda count: count == 2)
        await sockets.enter_async_context(connect(served.url(graph)))


async def test_LIMIT_3_who_sends_too_many_messages_is_closed_and_told(database: Database, database_url: str) -> None:
    async with serving(database, database_url, messages_per_s=100, liveness_tick_s=0.5) as served:
        graph = await served.create_graph()
        async with connect(served.url(graph)) as flood, YClient(served.url(graph)) as other:
            for _ in range(200):
                await flood.send(b"\x03")
            assert await end_of(flood) == (4529, "more than 100 messages a second")
            await other.saved()


async def test_LIMIT_4_who_reads_nothing_for_too_long_is_closed(database: Database, database_url: str) -> None:
    _, updates = entries(100_000, 70)
    settings = {"write_buffer_bytes": 20_000, "behind_timeout_s": 0.2, "liveness_tick_s": 0.1}
    async with serving(database, database_url, **settings) as served:
        graph = await served.create_graph()
        async with (
            connect(served.url(graph), sock=narrow_socket(served), max_queue=1, max_size=None) as slow,
            YClient(served.url(graph)) as author,
        ):
            await slow.send(sync.step1(b"\x00").payload)
            for update in updates:
                await author.send_update(update)
            await author.saved()

            async def times_and_now() -> tuple[float, float]:
                return await gauge(served, "times_behind_total"), await gauge(served, "clients_behind")

            await eventually(times_and_now, lambda seen: seen == (1, 0))
            code, reason = await end_of(slow)  # it reads now, and finds the goodbye behind what was under way
            assert (code, reason) == (4508, "nothing was read for 0.2 s")
            await author.saved()


async def test_LIMIT_4_who_reads_slowly_is_not_closed(database: Database, database_url: str) -> None:
    doc, updates = entries(100_000, 45)
    settings = {"write_buffer_bytes": 20_000, "behind_timeout_s": 0.3, "liveness_tick_s": 0.1}
    async with serving(database, database_url, **settings) as served:
        graph = await served.create_graph()
        async with YClient(served.url(graph)) as author:
            for update in updates:
                await author.send_update(update)
            await author.saved()
        copy, _ = recorded(7)
        async with connect(served.url(graph), sock=narrow_socket(served), max_queue=1, max_size=None) as slow:
            await slow.send(sync.step1(b"\x00").payload)
            longest_s = 0.0
            while copy.get("map", type=Map).to_py() != doc.get("map", type=Map).to_py():
                longest_s = max(longest_s, await gauge(served, "longest_behind_seconds"))
                async with asyncio.timeout(WAIT_S):
                    for message in messages(await slow.recv(decode=False)):
                        if isinstance(message, sync.Update):
                            copy.apply_update(message.update)
            assert longest_s < 0.5
            slow.transport.abort()  # heartbeats fill its queue, and a goodbye would wait behind them


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A masked websocket frame of a client (RFC 6455 section 5.2); a mask of zeros leaves the bytes as they are."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xff" + len(payload).to_bytes(8)
    return bytes([opcode | 0x80 * fin]) + size + bytes(4) + payload


FLOODS = {
    "messages": 60_000 * frame(2, sync.step1(b"\x00").payload),
    "messages in one frame": frame(2, 300_000 * b"\x03"),
    "questions in one frame": frame(2, 20_000 * sync.step1(b"\x00").payload),
    "pings": 60_000 * frame(9, b""),
    "fragments": frame(2, b"\x03", fin=False) + 60_000 * frame(0, b"\x03", fin=False),
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_LIMIT_5_a_flood_of_anything_small_lets_others_through(
    database: Database, database_url: str, kind: str
) -> None:
    """What a read, or a frame, brings in beyond its share waits for turns of the loop; others come in between.

    A client with much to work off is not read from; a request that is answered after it all finds all of it counted.
    """
    flood = FLOODS[kind]
    inner = {"messages in one frame": 300_000, "questions in one frame": 20_000}.get(kind)
    async with serving(database, database_url) as served, served.http() as http:
        await http.get("/healthz")
        async with connect(served.url(await served.create_graph()), max_queue=None) as noisy:
            noisy.transport.write(flood)
            if inner is None:
                assert await gauge_of(http, "received_bytes_total") < len(flood)
            else:
                assert await gauge_of(http, "messages_received_total") < inner
            noisy.transport.abort()


@pytest.mark.parametrize("kind", ["messages in one frame", "pings", "fragments"])
async def test_LIMIT_3_pings_fragments_and_messages_within_a_frame_count(
    database: Database, database_url: str, kind: str
) -> None:
    async with serving(database, database_url, messages_per_s=1_000, liveness_tick_s=0.5) as served:
        graph = await served.create_graph()
        async with connect(served.url(graph), max_queue=None) as flood, YClient(served.url(graph)) as other:
            flood.transport.write(FLOODS[kind])
            assert await end_of(flood) == (4529, "more than 1000 messages a second")
            await other.saved()


async def test_LIMIT_5_who_pushes_much_is_not_read_from_until_half_of_it_is_committed(
    database: Database, database_url: str
) -> None:
    """The log is kept for the others: a person's edits go through while an agent waits for its own."""
    _, updates = entries(300_000, 20)
    blocker = await asyncpg.connect(database_url)
    async with serving(database, database_url) as served:
        graph = await served.create_graph()
        async with (
            connect(served.url(graph)) as agent,
            YClient(served.url(graph)) as person,
            YClient(served.url(graph)) as other,
        ):
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE crdt_operations IN EXCLUSIVE MODE")
                sending = asyncio.gather(*(agent.send(sync.update(update).payload) for update in updates))
                await eventually(lambda: gauge(served, "uncommitted_bytes"), lambda size: size > 2 * 1024**2)
                await person.edit(["map.set", "small", 1])
                await eventually(other.content, lambda content: "small" in content.map)
                assert await gauge(served, "uncommitted_bytes") < 4 * 1024**2
            await sending
            await agent.send(b"\x66all")
            async with asyncio.timeout(WAIT_S):
                while await agent.recv() != b"\x66all":
                    pass
        async with YClient(served.url(graph)) as late:
            assert len((await late.content()).map) == len(updates) + 1
    await blocker.close()
