"""Ten agents push 300 KB updates without pause, while a person makes small edits."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from bench.agents import KINDS
from bench.peers import Peer, Usage, hocuspocus, in_memory, layercake, pycrdt_websocket, y_websocket
from bench.processes import Generator
from bench.scenario import Bar, Figure, Sample, Scenario

ROUND_S = 8
SOCKETS_FULL_AFTER_S = 1.0
EDITS_PER_S = 5
AGENTS = 10

_FIGURES = (
    Figure("receive_p50_ms", "person's edit at the observer, p50", "ms"),
    Figure("receive_p95_ms", "person's edit at the observer, p95", "ms"),
    Figure("receive_p99_ms", "person's edit at the observer, p99", "ms"),
    Figure("seen_percent", "edits seen within 5 s of the last", "%"),
    Figure("agents_updates_per_s", "agents' updates", "1/s"),
    Figure("server_cpu_share", "server CPU share", "%"),
    Figure("database_cpu_share", "database CPU share", "%"),
    Figure("generator_cpu_share", "agents' CPU share", "%"),
    Figure("turn_p95_ms", "observer's turn, p95", "ms"),
)


async def run_round(peer: Peer, kind: str) -> Sample:
    """Let agents push updates of a kind to a new document of `peer`, started for this round alone."""
    await peer.kill()
    await peer.start()
    address = asdict(await peer.new_document())
    edits = {"observers": 1, "edits_per_s": EDITS_PER_S, "seconds": ROUND_S}
    async with (
        Generator.ready("bench.agents", address=address, agents=AGENTS, kind=kind) as pushing,
        Generator.ready("bench.probe", address=address, **edits) as probe,
    ):
        pushing.go()
        await asyncio.sleep(SOCKETS_FULL_AFTER_S)
        usage = Usage(peer)
        probe.go()
        await probe.done()
        shares = usage.shares()
        pushing.stop()
        await pushing.done()
        return sample(await probe.report(), await pushing.report(), *shares)


def sample(seen: dict[str, Any], agents: dict[str, Any], server_share: float, database_share: float) -> Sample:
    """Make a sample; a delay is at least so long where not every edit was seen."""
    return {f"receive_{percentile}_ms": seen["edit_ms"][percentile] for percentile in ("p50", "p95", "p99")} | {
        "seen_percent": 100 * seen["seen_share"],
        "agents_updates_per_s": agents["updates_per_s"],
        "server_cpu_share": 100 * server_share,
        "database_cpu_share": 100 * database_share,
        "generator_cpu_share": 100 * agents["cpu_share"],
        "turn_p95_ms": seen["turn_ms"]["p95"],
    }


def _pushing(kind: str) -> Callable[[Peer], Awaitable[Sample]]:
    return lambda peer: run_round(peer, kind)


SCENARIOS = tuple(
    Scenario(
        name=f"fairness-{kind}",
        title=f"A person beside ten agents that push {kind}",
        claim=f"Ten agents push updates of 300 KB of {kind} without pause; when an observer sees a person's edits.",
        figures=_FIGURES,
        bars=(Bar("receive_p95_ms", at_most=150),),
        peers=(layercake, in_memory(y_websocket), in_memory(hocuspocus), in_memory(pycrdt_websocket)),
        run=_pushing(kind),
        rounds=3,
    )
    for kind in KINDS
)
