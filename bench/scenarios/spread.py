"""The same updates a second, in one graph or in thousands."""

from bench.peers import Peer, hocuspocus, in_memory, layercake, y_websocket
from bench.scenario import Bar, Figure, Sample, Scenario
from bench.scenarios.load import live_round

GRAPHS = (1, 10, 100, 1_000, 2_000)
UPDATES_PER_S = 2_000
_ROUND_S = 5


async def spread(peer: Peer) -> Sample:
    """Load each number of new graphs in turn, two people in each, of whom one types."""
    us_per_update = {}
    load = {"kind": "text", "writers": 1, "observers": 1, "updates_per_s": UPDATES_PER_S, "seconds": _ROUND_S}
    for graphs in GRAPHS:
        seen = await live_round(peer, documents=graphs, **load)
        us_per_update[graphs] = seen["server_us_per_update"]
    growth = us_per_update[GRAPHS[-1]] / us_per_update[GRAPHS[0]]
    return {f"us_per_update_{graphs}": us for graphs, us in us_per_update.items()} | {"growth": growth}


SCENARIOS = (
    Scenario(
        name="spread",
        title="One server, 1 to 2,000 graphs, 2,000 updates a second in all",
        claim="One of two people in each graph types; how much more an update costs where there are many graphs.",
        figures=(
            *(Figure(f"us_per_update_{graphs}", f"CPU per update, {graphs:,} graphs", "us") for graphs in GRAPHS),
            Figure("growth", "the last in parts of the first", "x", 2),
        ),
        bars=(Bar("growth", at_most=1.5),),
        peers=(layercake, in_memory(y_websocket), in_memory(hocuspocus)),
        run=spread,
        rounds=3,
    ),
)
