"""A hundred people who open one large graph at the same moment, for the first time or again."""

import asyncio
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from pycrdt import Doc, Map

from bench.dialects import NOTHING, Address
from bench.peers import Peer, cpu_s, hocuspocus, in_memory, layercake, pycrdt_websocket, y_websocket
from bench.processes import Generator
from bench.scenario import Bar, Figure, Sample, Scenario
from bench.scenarios.load import BUSY_GENERATOR_SHARE
from bench.sockets import Line, Skimmer
from bench.traffic import FIRST_AUTHOR
from tests.clients import frames

JOINERS = 100
NODES, LAST_NODES = 25_000, 250
_NODES_PER_UPDATE = 5_000
ENCODED_ALIKE = 0.9
"""How much of what we make of a document an answer has to be: servers write the same structs a little differently."""

_FOUNDED_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Large:
    """A document: how it was written, and what one who has not its last part has of it and lacks."""

    updates: list[bytes]
    whole_bytes: int
    state_vector: bytes
    """Before the last part."""
    last_bytes: int


@cache
def large_graph() -> Large:
    """The graph, of which the last part is written by somebody else."""
    first: Doc[Any] = Doc(client_id=FIRST_AUTHOR)
    updates = list(_written(first, range(NODES - LAST_NODES)))
    state_vector = first.get_state()
    last: Doc[Any] = Doc(client_id=FIRST_AUTHOR + 1)
    last.apply_update(first.get_update())
    updates += _written(last, range(NODES - LAST_NODES, NODES))
    return Large(updates, len(last.get_update()), state_vector, len(last.get_update(state_vector)))


def _written(doc: Doc[Any], numbers: range) -> Iterator[bytes]:
    """Add nodes, many at a time, and yield each update."""
    nodes = doc.get("nodes", type=Map)
    for start in range(0, len(numbers), _NODES_PER_UPDATE):
        before = doc.get_state()
        with doc.transaction():
            for number in numbers[start : start + _NODES_PER_UPDATE]:
                place = {"x": float(number % 1_000), "y": float(number // 1_000)}
                fields = {"label": f"Node number {number}", "layer": f"layer{number % 5}", "position": place}
                nodes[f"n{number}"] = Map(
                    fields | {"weight": number % 100, "comment": "generated to measure those who join"}
                )
        yield doc.get_update(before)


@asynccontextmanager
async def founded(peer: Peer) -> AsyncIterator[Address]:
    """A new document with the graph in it, which the server has in memory: its author stays."""
    address = await peer.new_document()
    author = await asyncio.to_thread(_found, address, large_graph())
    yield address
    author.socket.close()


def _found(address: Address, graph: Large) -> Line:
    """Write the graph, and return the author once the server answers with the whole of it."""
    author, heard = Line(address.url), Skimmer()
    asking = address.greeting()
    for message in (*asking, address.nothing(), *map(address.update, graph.updates), asking[-1]):
        author.send(message)
    deadline_s = time.monotonic() + _FOUNDED_WITHIN_S
    while not any(_is_whole(address, graph, *one) for one in heard.take(author.receive())):
        assert time.monotonic() < deadline_s, "the graph was not taken"
        author.flush()
        select.select([author.socket], [author.socket] if author.unsent_bytes else [], [], 1)
    return author


def _is_whole(address: Address, graph: Large, beginning: bytes, size: int) -> bool:
    kind, rest = address.read(beginning)
    return kind == frames.SYNC and rest[0] == frames.STEP2 and size >= ENCODED_ALIKE * graph.whole_bytes


async def join(peer: Peer, *, again: bool) -> Sample:
    """Let everybody join a new large graph, `again` with all but its last part."""
    graph = large_graph()
    has, lacks_bytes = (graph.state_vector, graph.last_bytes) if again else (NOTHING, graph.whole_bytes)
    async with founded(peer) as address:
        asked = {"joiners": JOINERS, "state_vector": has.hex(), "at_least_bytes": round(ENCODED_ALIKE * lacks_bytes)}
        async with Generator.ready("bench.joiners", address=asdict(address), **asked) as generator:
            before = cpu_s(peer.server()), cpu_s(peer.database())
            generator.go()
            await generator.done()
            server_s, database_s = cpu_s(peer.server()) - before[0], cpu_s(peer.database()) - before[1]
            seen = await generator.report()
    assert seen["cpu_share"] <= BUSY_GENERATOR_SHARE, "the load generator was the bottleneck"
    return {
        "slowest_ms": seen["slowest_ms"],
        "median_ms": seen["median_ms"],
        "server_cpu_ms": 1000 * server_s,
        "database_cpu_ms": 1000 * database_s,
        "received_kb_per_client": seen["received_bytes_per_client"] / 1_000,
        "generator_cpu_share": 100 * seen["cpu_share"],
    }


def _joining(*, again: bool) -> Callable[[Peer], Awaitable[Sample]]:
    return lambda peer: join(peer, again=again)


_FIGURES = (
    Figure("slowest_ms", "the slowest has it after", "ms", 0),
    Figure("median_ms", "half of them have it after", "ms", 0),
    Figure("server_cpu_ms", "server CPU for all", "ms", 0),
    Figure("database_cpu_ms", "database CPU for all", "ms", 0),
    Figure("received_kb_per_client", "received by each client", "KB"),
    Figure("generator_cpu_share", "load generator's CPU share", "%"),
)
_SERVERS = (layercake, in_memory(y_websocket), in_memory(hocuspocus), in_memory(pycrdt_websocket))

SCENARIOS = (
    Scenario(
        name="joining",
        title="100 people join a graph of 4.2 MB at once",
        claim="100 clients connect at the same moment and get 25,000 nodes; from connecting to the last byte.",
        figures=_FIGURES,
        bars=(Bar("slowest_ms", at_most=1_200),),
        peers=_SERVERS,
        run=_joining(again=False),
    ),
    Scenario(
        name="rejoining",
        title="100 people come back with 99 % of a graph of 4.2 MB",
        claim="100 clients connect at the same moment with all but the last hundredth of a graph, and get the rest.",
        figures=_FIGURES,
        bars=(Bar("slowest_ms", at_most=250), Bar("received_kb_per_client", at_most=45)),
        peers=_SERVERS,
        run=_joining(again=True),
    ),
)
