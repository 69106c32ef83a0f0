"""How many updates a second a server carries before its people notice."""

from bench.peers import Peer, hocuspocus, in_memory, layercake, y_websocket
from bench.scenario import COMPARED_WITH, Bar, Figure, Sample, Scenario
from bench.scenarios.load import live_round

PEOPLE = 50
P99_WITHIN_MS = 50
STEP_UPDATES_PER_S = 500
MOST_UPDATES_PER_S = 12_000
STEP_S = 3


async def highest_rate(peer: Peer) -> Sample:
    """Bisect the grid of rates; a rate is carried if every delivery is made and its p99 keeps the bound."""
    carried, refused = 0, MOST_UPDATES_PER_S // STEP_UPDATES_PER_S + 1
    while refused - carried > 1:
        tried = (carried + refused) // 2
        if await carries(peer, tried * STEP_UPDATES_PER_S):
            carried = tried
        else:
            refused = tried
    assert carried, f"{STEP_UPDATES_PER_S} updates a second are too many"
    return {"updates_per_s": carried * STEP_UPDATES_PER_S}


async def carries(peer: Peer, updates_per_s: int) -> bool:
    """Whether `peer` delivers so many updates a second in time; it is started again if it does not."""
    try:
        seen = await live_round(peer, writers=PEOPLE, updates_per_s=updates_per_s, seconds=STEP_S, last_within_s=3)
    except (AssertionError, EOFError):
        is_in_time = False
    else:
        is_in_time = seen["receive_p99_ms"] <= P99_WITHIN_MS
    if not is_in_time:
        await peer.kill()
        await peer.start()
    return is_in_time


SCENARIOS = (
    Scenario(
        name="ceiling",
        title="The highest rate, one graph, 50 people",
        claim="50 people edit one graph; the highest rate at which 99 % of deliveries take 50 ms at most.",
        figures=(Figure("updates_per_s", "highest rate", "updates/s", 0),),
        bars=(Bar("updates_per_s", at_least=2.5, against=COMPARED_WITH),),
        peers=(layercake, in_memory(y_websocket), in_memory(hocuspocus)),
        run=highest_rate,
    ),
)
