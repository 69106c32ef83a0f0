"""Two thousand new graphs, each opened, edited and closed, and what is there after a kill right behind the last."""

from typing import Any

from pycrdt import Map

from bench.dialects import Address
from bench.peers import Layercake, Peer, cpu_s, hocuspocus, layercake, running
from bench.processes import Generator
from bench.scenario import Bar, Figure, Sample, Scenario
from bench.scenarios.load import BUSY_GENERATOR_SHARE
from bench.traffic import FIRST_AUTHOR
from tests.unit.documents import recorded

GRAPHS = 2_000
AT_ONCE = 32


def edit() -> bytes:
    """What each visitor does: adds one node."""
    doc, updates = recorded(FIRST_AUTHOR)
    doc.get("nodes", type=Map)["visited"] = Map({"label": "Visited", "layer": "base", "weight": 1})
    return updates[0]


async def visits(peer: Peer) -> Sample:
    """Visit new graphs, kill everything right after the last acknowledgement, start again, and count what is there."""
    documents = await peer.new_documents(GRAPHS)
    server_s = cpu_s(peer.server())
    seen = await visit(peer, documents, edit(), kills=True)
    kept = (await visit(peer, documents, b"", kills=False))["answer_bytes"]
    assert seen["cpu_share"] <= BUSY_GENERATOR_SHARE, "the load generator was the bottleneck"
    return {
        "visits_per_s": GRAPHS / seen["wall_s"],
        "server_cpu_us_per_visit": 1e6 * (seen["server_s"] - server_s) / GRAPHS,
        "lost": sum(size < len(edit()) for size in kept),
        "generator_cpu_share": 100 * seen["cpu_share"],
    }


async def visit(peer: Peer, documents: list[Address], update: bytes, *, kills: bool) -> dict[str, Any]:
    """Return what bench.guests reports of a visit to each of `documents`, and the server's CPU until its end."""
    names = [one.document for one in documents]
    door = documents[0].url.removesuffix(names[0])
    async with Generator.ready(
        "bench.guests", door=door, dialect=peer.dialect, documents=names, update=update.hex(), at_once=AT_ONCE
    ) as generator:
        generator.go()
        await generator.done()
        server_s = cpu_s(peer.server())
        if kills:
            await (peer.kill_all() if isinstance(peer, Layercake) else peer.kill())
            await peer.start()
        return await generator.report() | {"server_s": server_s}


SCENARIOS = (
    Scenario(
        name="visits",
        title="2,000 new graphs, each opened, edited and closed",
        claim="Clients, 32 at once, each edit a new graph and leave once that is saved; then all is killed with -9.",
        figures=(
            Figure("visits_per_s", "visits a second", "/s", 0),
            Figure("server_cpu_us_per_visit", "server CPU of one visit", "us", 0),
            Figure("lost", "acknowledged edits that are missing after kill -9", "", 0),
            Figure("generator_cpu_share", "load generator's CPU share", "%"),
        ),
        bars=(Bar("visits_per_s", at_least=500), Bar("lost", at_most=0)),
        peers=(layercake, lambda folder: running(hocuspocus(folder))),
        run=visits,
    ),
)
