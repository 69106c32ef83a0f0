"""DOOR-3 and HOC-13: mutated and random frames against a running server, in both dialects.

Each client sends one wrong frame after some sound ones. The server must go on, tell it why if it refuses, and nobody
else may notice; what it takes is a document that everyone can still load.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from collab.wire import sync
from collab.wire.awareness import Entry, encode_awareness
from persistence.database import Database
from tests.clients import hclient
from tests.clients.yclient import YClient
from tests.integration.served import Served, serving
from tests.property.test_walk_guard import mutated, sound_updates

FRAMES = int(os.environ.get("LAYERCAKE_FUZZ_FRAMES", "300"))
SEED = int(os.environ.get("LAYERCAKE_FUZZ_SEED", random.SystemRandom().randrange(2**32)))
FAILED_BEFORE: list[int] = []
"""Seeds that once found a fault; they are run first."""
REFUSALS = {4400, 4413, 4500}
"""A bad message, one too large, and one that waits for others when too many do."""
_AT_ONCE = 20
_WAIT_S = 20
_LISTEN_S = 0.1
_LEFT = 1000


@pytest.fixture
async def served(database: Database, database_url: str) -> AsyncIterator[Served]:
    async with serving(database, database_url) as server:
        yield server


def y_frames() -> list[bytes]:
    """A sound frame of every kind of the y-websocket dialect."""
    presence = encode_awareness([Entry(5, 1, b'{"name":"x"}'), Entry(6, 2, b"null")])
    messages = [sync.step1(b"\x01\x05\x03"), sync.awareness(presence), *map(sync.update, sound_updates())]
    return [*(message.payload for message in messages), sync.step2(sound_updates()[0]).payload, b"\x03", b"\x66x"]


def h_frames(graph: str) -> list[bytes]:
    """A sound frame of every kind of the Hocuspocus dialect."""
    bodies = [frame for frame in y_frames() if frame != b"\x66x"]
    bodies += [hclient.auth("admin"), hclient.auth("admin", "4.8.0"), hclient.stateless("wörld"), bytes((7,))]
    addresses = [hclient.string(graph), hclient.string(f"{graph}\0session")]
    return [hclient.PONG, *(address + body for address in addresses for body in bodies)]


def wrong(chance: random.Random, sound: list[bytes]) -> bytes:
    """Return a frame that is most likely none."""
    if chance.random() < 0.2:
        return chance.randbytes(chance.randrange(60))
    return mutated(chance, chance.choice(sound))


async def be_hostile(url: str, frames: list[bytes]) -> None:
    """Send `frames`, then leave, or be told why not."""
    async with connect(url, compression=None, close_timeout=_WAIT_S) as socket:
        with suppress(ConnectionClosed, TimeoutError):
            for frame in frames:
                await socket.send(frame)
            async with asyncio.timeout(_LISTEN_S):
                while True:
                    await socket.recv()
    if socket.close_code != _LEFT:
        assert socket.close_code in REFUSALS, (socket.close_code, socket.close_reason)
        assert socket.close_reason


async def attack(served: Served, graph: str, url: str, sound: list[bytes], opening: list[bytes], seed: int) -> None:
    """Let hostile clients loose, and see that two others go on and a later one can load what there is."""
    print(f"LAYERCAKE_FUZZ_SEED={seed}")
    chance = random.Random(seed)
    async with YClient(served.url(graph)) as witness, hclient.HClient.connected(served.hocuspocus_url) as other:
        await other.open(graph)
        for number in range(FRAMES // _AT_ONCE):
            hostile = [
                [*opening, *chance.sample(sound, chance.randrange(3)), wrong(chance, sound)] for _ in range(_AT_ONCE)
            ]
            await asyncio.gather(*(be_hostile(url, frames) for frames in hostile))
            await witness.edit(["map.set", "alive", number])
            await witness.saved()
            await other.send(graph, hclient.sync(hclient.UPDATE, b"\x00\x00"))
            await other.until(graph, hclient.SAVED)
    async with YClient(served.url(graph)) as late:
        assert (await late.content()).map["alive"] == number


@pytest.mark.parametrize("seed", [*FAILED_BEFORE, SEED])
async def test_DOOR_3_wrong_frames_of_the_y_dialect_harm_nobody(served: Served, seed: int) -> None:
    graph = await served.create_graph()
    await attack(served, graph, served.url(graph), y_frames(), [], seed)


@pytest.mark.parametrize("seed", [*FAILED_BEFORE, SEED])
async def test_HOC_13_wrong_frames_of_the_hocuspocus_dialect_harm_nobody(served: Served, seed: int) -> None:
    graph = await served.create_graph()
    opening = [hclient.string(graph) + hclient.auth("admin", hclient.VERSION)]
    await attack(served, graph, served.hocuspocus_url, h_frames(graph), opening, seed)
