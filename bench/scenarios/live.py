"""Graphs that people edit at the same time, at given rates."""

from collections.abc import Awaitable, Callable
from typing import Any

from bench.peers import Peer, hocuspocus, in_memory, layercake, pycrdt_websocket, y_websocket, ypy_websocket
from bench.scenario import COMPARED_WITH, Bar, Sample, Scenario
from bench.scenarios.load import AROUND, COSTS, DELAYS, live_round

ROUND_S = 8
_NODE = (layercake, in_memory(y_websocket), in_memory(hocuspocus))
_PYTHON = in_memory(pycrdt_websocket)


def _load(**load: Any) -> Callable[[Peer], Awaitable[Sample]]:
    return lambda peer: live_round(peer, seconds=ROUND_S, **load)


SCENARIOS = (
    Scenario(
        name="graph-500",
        title="One graph, 50 people, 500 updates a second",
        claim="50 people drag and rename nodes of one graph; how soon the other 49 have each update.",
        figures=(*DELAYS, *COSTS, *AROUND),
        bars=(Bar("receive_p50_ms", at_most=4), Bar("receive_p99_ms", at_most=15)),
        peers=(*_NODE, _PYTHON, in_memory(ypy_websocket)),
        run=_load(writers=50, updates_per_s=500),
    ),
    Scenario(
        name="graph-2000",
        title="One graph, 50 people, 2,000 updates a second",
        claim="50 people drag and rename nodes of one graph; what each delivery to one of the other 49 costs.",
        figures=(*COSTS, *DELAYS, *AROUND),
        bars=(
            Bar("server_us_per_delivery", at_most=0.40, against=COMPARED_WITH),
            Bar("saved_p50_ms", at_most=15),
            Bar("saved_p99_ms", at_most=50),
        ),
        peers=_NODE,
        run=_load(writers=50, updates_per_s=2_000),
        is_quick=True,
    ),
    Scenario(
        name="text-2000",
        title="One text, 50 people, 2,000 keystrokes a second",
        claim="50 people type into one text; what each delivery to one of the other 49 costs.",
        figures=(*COSTS, *DELAYS, *AROUND),
        bars=(Bar("server_us_per_delivery", at_most=0.40, against=COMPARED_WITH),),
        peers=_NODE,
        run=_load(writers=50, updates_per_s=2_000, kind="text"),
    ),
    Scenario(
        name="graph-8000",
        title="One graph, 10 clients, 8,000 updates a second",
        claim="10 clients drag and rename nodes of one graph as fast as programs do; what each update costs.",
        figures=(*COSTS, *DELAYS, *AROUND),
        bars=(Bar("server_us_per_update", at_most=0.65, against=COMPARED_WITH),),
        peers=_NODE,
        run=_load(writers=10, updates_per_s=8_000),
    ),
    Scenario(
        name="50-graphs",
        title="50 graphs, 4 people each, 2,000 updates a second in all",
        claim="4 people drag and rename nodes in each of 50 graphs; what each update costs.",
        figures=(*COSTS, *DELAYS, *AROUND),
        bars=(Bar("server_us_per_update", at_most=1.3, against=COMPARED_WITH),),
        peers=(*_NODE, _PYTHON),
        run=_load(documents=50, writers=4, updates_per_s=2_000),
    ),
)
