"""`make bench-fairness`: ten agents push 300 KB updates without pause, while a person makes small edits.

`python -m bench.fairness [--agents 10] [--rounds N]`.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.agents import KINDS
from bench.figures import ratio, table
from bench.peers import Peer, Usage, hocuspocus, layercake, pycrdt_websocket, running, y_websocket
from bench.processes import Generator

ROUNDS = 1
ROUND_S = 10
SOCKETS_FULL_AFTER_S = 1.0
EDITS_PER_S = 5
EDIT_P95_WITHIN_MS = 150.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round: when the observer saw the person's edits, what the agents did, and the CPU that it took."""

    seen: dict[str, Any]
    agents: dict[str, Any]
    server_share: float
    database_share: float

    @property
    def edit_p95_ms(self) -> float:
        """At least so long, where not every edit was seen."""
        return float(self.seen["edit_ms"]["p95"])


async def run_round(peer: Peer, agents: int, kind: str) -> Outcome:
    """Let agents push updates of a kind to a new document of `peer`."""
    address = asdict(await peer.new_document())
    async with (
        Generator.ready("bench.agents", address=address, agents=agents, kind=kind) as pushing,
        Generator.ready("bench.probe", address=address, observers=1, edits_per_s=EDITS_PER_S, seconds=ROUND_S) as probe,
    ):
        pushing.go()
        await asyncio.sleep(SOCKETS_FULL_AFTER_S)
        usage = Usage(peer)
        probe.go()
        await probe.done()
        shares = usage.shares()
        pushing.stop()
        await pushing.done()
        return Outcome(await probe.report(), await pushing.report(), *shares)


async def measure(folder: Path, agents: int, rounds: int) -> dict[str, dict[str, list[Outcome]]]:
    """Return the outcomes by kind and server, measured in turn. Every round has a server started for it alone."""
    outcomes: dict[str, dict[str, list[Outcome]]] = {kind: {} for kind in KINDS}
    for number in range(rounds):
        for kind, of_kind in outcomes.items():
            place = folder / f"{kind}{number}"
            place.mkdir()
            async with AsyncExitStack() as server:
                peer: Peer = await server.enter_async_context(layercake(place / "layercake"))
                of_kind.setdefault(peer.name, []).append(await run_round(peer, agents, kind))
            for program in (hocuspocus(place), y_websocket(), pycrdt_websocket(place)):
                async with running(program):
                    of_kind.setdefault(program.name, []).append(await run_round(program, agents, kind))
    return outcomes


def _edit(percentile: str) -> Callable[[Outcome], float | None]:
    return lambda outcome: float(outcome.seen["edit_ms"][percentile])


_FIGURES: dict[str, Callable[[Outcome], float | None]] = {
    "person's edit at the observer, p50, ms": _edit("p50"),
    "person's edit at the observer, p95, ms": _edit("p95"),
    "person's edit at the observer, p99, ms": _edit("p99"),
    "edits seen within 5 s of the last, %": lambda outcome: 100 * outcome.seen["seen_share"],
    "agents' updates/s": lambda outcome: outcome.agents["updates_per_s"],
    "server CPU share, %": lambda outcome: 100 * outcome.server_share,
    "database CPU share, %": lambda outcome: 100 * outcome.database_share,
    "agents' CPU share, %": lambda outcome: 100 * outcome.agents["cpu_share"],
    "observer's turn, p95, ms": lambda outcome: outcome.seen["turn_ms"]["p95"],
    "observer's turn, max, ms": lambda outcome: outcome.seen["turn_ms"]["max"],
}


def main() -> None:
    """Print a table for each kind of update; exit with 1 if the bar is missed."""
    asked = argparse.ArgumentParser(prog="python -m bench.fairness", description=__doc__)
    asked.add_argument("--agents", type=int, default=10)
    asked.add_argument("--rounds", type=int, default=ROUNDS)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = asyncio.run(measure(Path(folder), options.agents, options.rounds))
    console = Console(width=130)
    complaints = []
    for kind, of_kind in outcomes.items():
        console.print(table(f"{options.agents} agents push updates of 300 KB of {kind}", of_kind, _FIGURES))
        ours, *others = of_kind.values()
        for name, theirs in zip(list(of_kind)[1:], others, strict=True):
            console.print(f"p95, Layercake / {name}: {ratio(ours, theirs, lambda one: one.edit_p95_ms)}")
        if any(one.edit_p95_ms > EDIT_P95_WITHIN_MS for one in ours):
            complaints.append(f"with {kind} the person's p95 is above {EDIT_P95_WITHIN_MS:g} ms")
    if complaints:
        sys.exit("; ".join(complaints))


if __name__ == "__main__":
    main()
