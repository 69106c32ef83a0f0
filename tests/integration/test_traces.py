"""Recorded keystrokes of real people, typed through the server again."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.eventually import eventually
from tests.clients.frames import read_state_vector
from tests.clients.replicas import PycrdtReplica
from tests.clients.yclient import YClient
from tests.faults.harness import Server

TRACES = Path(__file__).parents[3] / "shared" / "data" / "traces"
UPDATES_PER_ACKNOWLEDGEMENT = 2000
ACKNOWLEDGEMENTS_IN_FLIGHT = 4


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server.started(tmp_path) as server:
        yield server


def load_trace(name: str) -> dict[str, Any]:
    path = TRACES / f"{name}.json.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not at ../shared/data/traces")
    trace: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return trace


def keystroke(replica: PycrdtReplica, patches: list[list[Any]]) -> bytes:
    """Make one recorded transaction, and return its update."""
    steps = []
    for position, deleted, inserted in patches:
        if deleted:
            steps.append(["text.delete", position, deleted])
        if inserted:
            steps.append(["text.insert", position, inserted])
    (update,) = replica.edit(*steps)
    return update


@dataclass(frozen=True, slots=True)
class Stroke:
    """One transaction of an agent, who had seen the other's changes up to `after_clock` when making it."""

    update: bytes
    after_clock: int


def two_typists(transactions: list[dict[str, Any]]) -> tuple[list[Stroke], list[Stroke]]:
    """Replay the causal graph: every keystroke is made on a document that holds exactly its parents.

    Each agent's transactions form a chain, so a version of the document is how many of each are in it.
    """
    # Both insert at one place now and then; as in the recording, the first agent's words come first.
    replicas = (PycrdtReplica(client_id=1), PycrdtReplica(client_id=2))
    strokes: tuple[list[Stroke], list[Stroke]] = ([], [])
    clocks: tuple[list[int], list[int]] = ([0], [0])
    versions: list[tuple[int, int]] = []
    applied = [0, 0]  # how many of the other's transactions each agent has
    for transaction in transactions:
        agent, other = transaction["agent"], 1 - transaction["agent"]
        parents = [versions[parent] for parent in transaction["parents"]]
        seen = max((version[other] for version in parents), default=0)
        for stroke in strokes[other][applied[agent] : seen]:
            replicas[agent].apply(stroke.update)
        applied[agent] = max(applied[agent], seen)
        update = keystroke(replicas[agent], transaction["patches"])
        strokes[agent].append(Stroke(update, clocks[other][seen]))
        clocks[agent].append(read_state_vector(replicas[agent].state_vector())[agent + 1])
        mine = len(strokes[agent])
        versions.append((mine, seen) if agent == 0 else (seen, mine))
    return strokes


def clocks_of(typist: YClient) -> dict[int, int]:
    return read_state_vector(typist.replica.state_vector())


async def type_along(typist: YClient, strokes: list[Stroke], other_client: int) -> None:
    """Send each keystroke as soon as what it was made upon has arrived through the server."""
    for stroke in strokes:
        while clocks_of(typist).get(other_client, 0) < stroke.after_clock:
            await typist.arrival()
        typist.replica.apply(stroke.update)
        await typist.send_update(stroke.update)


async def test_two_people_typing_one_text_at_once(server: Server) -> None:
    """PEER-6: 26,078 concurrent keystrokes over two connections end in the recorded text, for everyone."""
    trace = load_trace("friendsforever")
    first, second = two_typists(trace["txns"])
    graph = await server.create_graph()
    async with YClient(server.sync_url(graph)) as one, YClient(server.sync_url(graph)) as two:
        await asyncio.gather(type_along(one, first, 2), type_along(two, second, 1))
        await one.saved()
        await two.saved()
        for typist in (one, two):
            await eventually(typist.content, lambda content: content.text == trace["endContent"])
    assert (await server.content(graph)).text == trace["endContent"]


async def test_a_whole_paper_typed_key_by_key(server: Server) -> None:
    """PEER-7: 259,778 updates through one connection are all there after a restart."""
    trace = load_trace("automerge-paper")
    author = PycrdtReplica()
    updates = [keystroke(author, transaction["patches"]) for transaction in trace["txns"]]
    graph = await server.create_graph()
    async with YClient(server.sync_url(graph)) as typist:
        in_flight: list[asyncio.Future[None]] = []
        for start in range(0, len(updates), UPDATES_PER_ACKNOWLEDGEMENT):
            for update in updates[start : start + UPDATES_PER_ACKNOWLEDGEMENT]:
                await typist.send_update(update)
            in_flight.append(await typist.ask_saved())
            if len(in_flight) == ACKNOWLEDGEMENTS_IN_FLIGHT:
                await asyncio.wait_for(in_flight.pop(0), 30)
        await typist.saved()
    await server.restart()
    assert (await server.content(graph)).text == trace["endContent"]
