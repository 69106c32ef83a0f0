"""`make bench-presence`: hundreds of people move their cursors, one writes, a few look on.

`python -m bench.presence [--people 300] [--hz 2] [--rounds N] [--dialect hocuspocus]`. Clients of the y-websocket
dialect repeat all presence they hear, as the stock client does; Hocuspocus's provider does not. With y-websocket's
own server that makes 180,000 messages a second of 600 renewals, which no generator here can send, so its clients are
spared it: a best case.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from bench.crowd import FIRST_CLIENT_ID
from bench.dialects import Dialect
from bench.figures import ratio, table
from bench.peers import Layercake, Peer, Usage, hocuspocus, layercake, running, y_websocket
from bench.processes import Generator

ROUNDS = 2
ROUND_S = 10
SETTLES_S = 3
EDITS_PER_S = 10
OBSERVERS = 4
WATCHED = 20
BUSY_GENERATOR_SHARE = 0.9

EDIT_P95_WITHIN_MS = 20.0
PRESENCE_WITHIN_MS = 1_000.0
CPU_RATIO_AT_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round: what the observers saw, what the crowd did, and the CPU that it took."""

    seen: dict[str, Any]
    crowd: dict[str, Any]
    server_share: float
    database_share: float


async def run_round(peer: Peer, people: int, renewals_per_s: float) -> Outcome:
    """Fill a new document of `peer` with people, wait until that has settled, and measure."""
    address, repeats = asdict(await peer.new_document()), isinstance(peer, Layercake)
    watched = [FIRST_CLIENT_ID + number * people // WATCHED for number in range(WATCHED)]
    async with Generator.ready(
        "bench.crowd", address=address, people=people, renewals_per_s=renewals_per_s, repeats=repeats
    ) as crowd:
        crowd.go()
        async with Generator.ready(
            "bench.probe",
            address=address,
            observers=OBSERVERS,
            watched=watched,
            settles_s=SETTLES_S,
            edits_per_s=EDITS_PER_S,
            seconds=ROUND_S,
        ) as probe:
            usage = Usage(peer)
            probe.go()
            await probe.done()
            shares = usage.shares()
            crowd.stop()
            await crowd.done()
            return Outcome(await probe.report(), await crowd.report(), *shares)


async def measure(
    folder: Path, people: int, renewals_per_s: float, rounds: int, dialect: Dialect
) -> dict[str, list[Outcome]]:
    """Run the servers in turn (A B C A B C …)."""
    async with AsyncExitStack() as servers:
        peers: list[Peer] = [await servers.enter_async_context(layercake(folder / "layercake", dialect))]
        programs = (hocuspocus(folder), y_websocket())
        peers += [await servers.enter_async_context(running(program)) for program in programs]
        outcomes: dict[str, list[Outcome]] = {peer.name: [] for peer in peers}
        for _ in range(rounds):
            for peer in peers:
                try:
                    outcomes[peer.name].append(await run_round(peer, people, renewals_per_s))
                except TimeoutError:
                    print(f"{peer.name} is so far behind that nobody can join; it is left out")
        return outcomes


def _of(spread: str, percentile: str) -> Callable[[Outcome], float | None]:
    """A percentile of what the observers saw."""

    def figure(outcome: Outcome) -> float | None:
        found = outcome.seen[spread]
        return None if found is None else float(found[percentile])

    return figure


_edit_p95 = _of("edit_ms", "p95")
_presence_max = _of("presence_age_ms", "max")
_FIGURES: dict[str, Callable[[Outcome], float | None]] = {
    "edit at observers, p50, ms": _of("edit_ms", "p50"),
    "edit at observers, p95, ms": _edit_p95,
    "edits seen within the round, %": lambda outcome: 100 * outcome.seen["seen_share"],
    "age of presence, p95, ms": _of("presence_age_ms", "p95"),
    "age of presence, max, ms": _presence_max,
    "server CPU share, %": lambda outcome: 100 * outcome.server_share,
    "database CPU share, %": lambda outcome: 100 * outcome.database_share,
    "MB/s to one observer": lambda outcome: outcome.seen["observer_mb_per_s"],
    "MB/s to all people": lambda outcome: outcome.crowd["received_mb_per_s"],
    "renewals/s": lambda outcome: outcome.crowd["renewals_per_s"],
    "repetitions/s": lambda outcome: outcome.crowd["repetitions_per_s"],
    "crowd's CPU share, %": lambda outcome: 100 * outcome.crowd["cpu_share"],
    "crowd's latest send, ms": lambda outcome: outcome.crowd["latest_send_ms"],
    "probe's CPU share, %": lambda outcome: 100 * outcome.seen["cpu_share"],
    "probe's turn, max, ms": _of("turn_ms", "max"),
}


def _mean_share(outcomes: list[Outcome]) -> float:
    return fmean(outcome.server_share for outcome in outcomes) if outcomes else float("inf")


def missed(ours: list[Outcome], against: list[Outcome]) -> list[str]:
    """Return, in words, which bars were missed in any round, and what makes the figures worth nothing."""
    complaints = []
    if any((_edit_p95(one) or 1e9) > EDIT_P95_WITHIN_MS for one in ours):
        complaints.append(f"an edit's p95 is above {EDIT_P95_WITHIN_MS:g} ms")
    if any((_presence_max(one) or 1e9) > PRESENCE_WITHIN_MS for one in ours):
        complaints.append(f"presence is older than {PRESENCE_WITHIN_MS:g} ms")
    if _mean_share(ours) > CPU_RATIO_AT_MOST * _mean_share(against):
        complaints.append(f"the server takes more than {CPU_RATIO_AT_MOST:g} of Hocuspocus's CPU")
    if any(one.crowd["cpu_share"] > BUSY_GENERATOR_SHARE for one in (*ours, *against)):
        complaints.append("the crowd was too busy: the latencies are its own")
    return complaints


def main() -> None:
    """Print the table; exit with 1 if a bar is missed."""
    asked = argparse.ArgumentParser(prog="python -m bench.presence", description=__doc__)
    asked.add_argument("--people", type=int, default=300)
    asked.add_argument("--hz", type=float, default=2.0, help="renewals of each person's presence a second")
    asked.add_argument("--rounds", type=int, default=ROUNDS)
    asked.add_argument("--dialect", type=Dialect, default=Dialect.Y_WEBSOCKET, help="Layercake's")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = asyncio.run(measure(Path(folder), options.people, options.hz, options.rounds, options.dialect))
    console = Console(width=120)
    title = f"{options.people} people at {options.hz:g} Hz, median of {options.rounds} rounds of {ROUND_S} s"
    console.print(table(title, outcomes, _FIGURES))
    ours, against, spared = outcomes.values()
    for name, theirs in {"Hocuspocus": against, "y-websocket": spared}.items():
        if len(theirs) == len(ours):
            console.print(f"CPU, Layercake / {name}: {ratio(ours, theirs, lambda one: one.server_share)}")
    if complaints := missed(ours, against):
        sys.exit("; ".join(complaints))


if __name__ == "__main__":
    main()
