"""Hundreds who look on while one person edits."""

from collections.abc import Awaitable, Callable

from bench.peers import Peer, hocuspocus, in_memory, layercake, pycrdt_websocket, y_websocket
from bench.scenario import Sample, Scenario
from bench.scenarios.load import AROUND, COSTS, DELAYS, live_round

ROUND_S = 8
UPDATES_PER_S = 20


def _observed_by(observers: int) -> Callable[[Peer], Awaitable[Sample]]:
    return lambda peer: live_round(peer, writers=1, observers=observers, updates_per_s=UPDATES_PER_S, seconds=ROUND_S)


SCENARIOS = tuple(
    Scenario(
        name=f"observers-{observers}",
        title=f"{observers:,} observers of one writer",
        claim=f"One person drags a node 20 times a second, and {observers:,} look on; when they see it.",
        figures=(*DELAYS, *COSTS, *AROUND),
        bars=(),
        peers=(layercake, in_memory(y_websocket), in_memory(hocuspocus), in_memory(pycrdt_websocket)),
        run=_observed_by(observers),
    )
    for observers in (300, 1_000)
)
