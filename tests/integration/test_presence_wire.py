"""PRES-2, PRES-3, PRES-4 and PRES-6 on the wire: who hears of whom, what is a greeting, and what is refused."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection, connect

from collab.presence import MAX_ENTRIES, MAX_STATE_BYTES
from collab.wire import sync
from collab.wire.awareness import GONE, Entry, decode_awareness, encode_awareness
from persistence.database import Database
from tests.clients.messages import messages
from tests.integration.served import Served, serving

WAIT_S = 20
STEP1 = sync.step1(b"\x00").payload


@pytest.fixture
async def served(database: Database, database_url: str) -> AsyncIterator[Served]:
    async with serving(database, database_url) as server:
        yield server


def presence(client: int, clock: int, state: bytes = b'{"x":1}') -> bytes:
    return sync.awareness(encode_awareness([Entry(client, clock, state)])).payload


async def hear(socket: ClientConnection, client: int) -> Entry:
    """Return the next entry of `client`."""
    async with asyncio.timeout(WAIT_S):
        while True:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            for message in messages(frame):
                if isinstance(message, sync.Awareness):
                    for entry in decode_awareness(message.update, MAX_ENTRIES):
                        if entry.client == client:
                            return entry


async def answered(socket: ClientConnection, token: bytes) -> None:
    """Wait until everything that was sent before is processed."""
    await socket.send(b"\x66" + token)
    async with asyncio.timeout(WAIT_S):
        while await socket.recv() != b"\x66" + token:
            pass


async def test_PRES_2_a_joiner_is_asked_and_then_told_who_is_present_before_it_says_a_word(served: Served) -> None:
    url = served.url(await served.create_graph())
    async with connect(url) as present:
        await present.send(STEP1 + presence(9, 5))
        await answered(present, b"a")
        async with connect(url) as joiner, asyncio.timeout(WAIT_S):
            kinds = [type(message) for _ in range(2) for message in messages(await joiner.recv(decode=False))]
            assert kinds == [sync.Step1, sync.Awareness]


async def test_PRES_3_only_what_comes_straight_after_the_first_step1_is_a_greeting(served: Served) -> None:
    url = served.url(await served.create_graph())
    async with connect(url) as observer:
        async with connect(url) as first:
            await first.send(STEP1)
            await first.send(presence(9, 5))
            assert (await hear(observer, 9)).clock == 6, "known to nobody here, but maybe to clients"
        assert await hear(observer, 9) == Entry(9, 7, GONE)
        async with connect(url) as second:
            for message in (presence(9, 5), STEP1, b"\x66a", presence(9, 5), STEP1, presence(9, 5)):
                await second.send(message)
            await answered(second, b"b")
            await observer.send(b"\x03")
            await second.send(presence(10, 1))
            assert (await hear(observer, 10)).clock == 1, "nothing was heard of 9"
        async with connect(url) as third:
            await third.send(STEP1 + presence(9, 5))
            assert (await hear(third, 9)).clock in (7, 8)
            entry = await hear(observer, 9)
            assert (entry.clock, json.loads(entry.state)["x"]) == (8, 1)


async def test_PRES_4_a_greeting_takes_no_presence_from_another_user(served: Served) -> None:
    graph = await served.create_graph()
    async with connect(served.url(graph)) as owner, connect(served.url(graph, "viewer")) as stranger:
        await owner.send(presence(9, 5, b'{"x":"owner"}'))
        await hear(stranger, 9)
        await stranger.send(STEP1)
        await stranger.send(presence(9, 6, b'{"x":"stranger"}'))
        await stranger.send(presence(9, 7, GONE))
        await answered(stranger, b"a")
        await owner.send(presence(9, 6, b'{"x":"still here"}'))
        assert json.loads((await hear(stranger, 9)).state)["x"] == "still here"
        assert json.loads((await hear(owner, 9)).state)["principal"]["name"] == "admin"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (presence(1, 1, b"{"), "not JSON"),
        (presence(1, 1, b"NaN"), "not JSON"),
        (presence(1, 2**31), "clock"),
        (presence(1, 1, b'"' + b"x" * MAX_STATE_BYTES + b'"'), "16386 bytes, at most 16384"),
        (
            sync.awareness(encode_awareness(Entry(one, 1, b"{}") for one in range(MAX_ENTRIES + 1))).payload,
            "10001 presence entries",
        ),
    ],
)
async def test_PRES_6_what_is_no_presence_closes_with_4400_and_says_why(
    served: Served, frame: bytes, reason: str
) -> None:
    async with connect(served.url(await served.create_graph())) as socket:
        await socket.send(frame)
        await asyncio.wait_for(socket.wait_closed(), WAIT_S)
        assert socket.close_code == 4400
        assert reason in (socket.close_reason or "")
