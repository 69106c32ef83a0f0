"""How soon a server is back: killed while it is written to, or asked for a large graph that it has forgotten."""

import asyncio
import time
from dataclasses import asdict

from bench.client import Client
from bench.crash_load import Load
from bench.dialects import NOTHING
from bench.peers import Peer, hocuspocus, layercake, pycrdt_websocket, running, y_websocket
from bench.processes import Generator
from bench.scenario import Bar, Figure, Sample, Scenario
from bench.scenarios.joining import ENCODED_ALIKE, founded, large_graph

UPDATES_PER_S = 2_000
WRITTEN = 6_000
_STORED_WITHIN_S = 3
"""How long a server may take to store what nobody has open any more."""

_ARRIVES_WITHIN_S = 2
_SEED = 7


async def recover(peer: Peer) -> Sample:
    """Kill -9 the server while it is written to, start it, and read the document."""
    address = await peer.new_document()
    async with Load.joined(address, peer.acknowledgement, UPDATES_PER_S, _SEED) as load, load.writing():
        await load.acknowledged_beyond(WRITTEN)
        await peer.kill()
    began_s = time.monotonic()
    await peer.start()
    ready_s = time.monotonic()
    async with Client(address):
        read_s = time.monotonic()
    lost = await load.missing(address, _ARRIVES_WITHIN_S)
    return {"ready_ms": 1000 * (ready_s - began_s), "read_ms": 1000 * (read_s - began_s), "lost": lost}


async def open_cold(peer: Peer) -> Sample:
    """Open a large graph right after a start."""
    graph = large_graph()
    async with founded(peer) as address:
        pass
    await asyncio.sleep(_STORED_WITHIN_S)
    await peer.kill()
    await peer.start()
    asked = {"joiners": 1, "state_vector": NOTHING.hex(), "at_least_bytes": round(ENCODED_ALIKE * graph.whole_bytes)}
    async with Generator.ready("bench.joiners", address=asdict(address), **asked) as generator:
        generator.go()
        await generator.done()
        return {"open_ms": (await generator.report())["slowest_ms"]}


_SERVERS = (
    layercake,
    lambda folder: running(y_websocket(folder)),
    lambda folder: running(hocuspocus(folder)),
    lambda folder: running(pycrdt_websocket(folder)),
)

SCENARIOS = (
    Scenario(
        name="recovery",
        title="Killed with -9 during 2,000 updates a second",
        claim="The server is killed while four clients write, and started again; when it is ready, and is read.",
        figures=(
            Figure("ready_ms", "ready after the start", "ms", 0),
            Figure("read_ms", "a client has the document after", "ms", 0),
            Figure("lost", "acknowledged updates that are missing", "", 0),
        ),
        bars=(Bar("lost", at_most=0),),
        peers=_SERVERS,
        run=recover,
    ),
    Scenario(
        name="cold",
        title="A graph of 4.2 MB, opened right after a start",
        claim="25,000 nodes are read from the store and sent to one client; from connecting to the last byte.",
        figures=(Figure("open_ms", "the client has it after", "ms", 0),),
        bars=(Bar("open_ms", at_most=600),),
        peers=_SERVERS,
        run=open_cold,
    ),
)
