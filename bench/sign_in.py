"""`make bench-sign-in`: 50 people sign in at once, again and again, while a person edits live.

`python -m bench.sign_in [--people 50] [--rounds N]`. Every round measures the person's edits without and with them.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from auth.passwords import HASHER
from bench.dialects import Dialect
from bench.figures import table
from bench.machine import measured_on
from bench.peers import Layercake, Usage
from bench.processes import Generator
from persistence.identifiers import new_id
from tests.faults.harness import Server

ROUNDS = 2
ROUND_S = 10
EDITS_PER_S = 50
EDIT_P99_WITHIN_MS = 50.0
_PASSWORD = "fifty people sign in"
ADD_USER = "INSERT INTO users (id, username, password_hash) VALUES ($1, $2, $3)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round: when the observer saw the person's edits, who signed in meanwhile, and the CPU that it took."""

    seen: dict[str, Any]
    sign_ins: dict[str, Any]
    server_share: float
    database_share: float

    @property
    def edit_p99_ms(self) -> float:
        """At least so long, where not every edit was seen."""
        return float(self.seen["edit_ms"]["p99"])


async def run_round(peer: Layercake, base_url: str, people: int) -> Outcome:
    """Let a person edit a new document of `peer` while so many people sign in."""
    address = asdict(await peer.new_document())
    probing = {"observers": 1, "edits_per_s": EDITS_PER_S, "seconds": ROUND_S}
    async with (
        Generator.ready("bench.probe", address=address, **probing) as probe,
        _signing_in(base_url, people) as sign_ins,
    ):
        usage = Usage(peer)
        probe.go()
        await probe.done()
        shares = usage.shares()
        return Outcome(await probe.report(), await sign_ins(), *shares)


@asynccontextmanager
async def _signing_in(base_url: str, people: int) -> AsyncIterator[Callable[[], Any]]:
    """People who sign in; what is given ends that and says what they did."""
    if people == 0:

        async def nobody() -> dict[str, Any]:
            return {"sign_ins": 0, "burst_s": None}

        yield nobody
        return
    async with Generator.ready("bench.sign_ins", base_url=base_url, people=people, password=_PASSWORD) as generator:

        async def ended() -> dict[str, Any]:
            generator.stop()
            await generator.done()
            return await generator.report()

        generator.go()
        yield ended


async def measure(folder: Path, people: int, rounds: int) -> dict[str, list[Outcome]]:
    """Return the outcomes without and with people who sign in, measured in turn on one server."""
    names = {f"nobody signs in ({rounds} rounds)": 0, f"{people} at once, all the time": people}
    outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
    async with Server.started(folder / "layercake") as server:
        async with server.database() as database:
            stored = HASHER.hash(_PASSWORD)
            await database.executemany(ADD_USER, [(new_id(), f"person {number}", stored) for number in range(people)])
        peer = Layercake(server, Dialect.Y_WEBSOCKET)
        for _ in range(rounds):
            for name, so_many in names.items():
                outcomes[name].append(await run_round(peer, server.base_url, so_many))
    return outcomes


def _edit(percentile: str) -> Callable[[Outcome], float | None]:
    return lambda outcome: float(outcome.seen["edit_ms"][percentile])


_FIGURES: dict[str, Callable[[Outcome], float | None]] = {
    "person's edit at the observer, p50, ms": _edit("p50"),
    "person's edit at the observer, p95, ms": _edit("p95"),
    "person's edit at the observer, p99, ms": _edit("p99"),
    "person's edit at the observer, max, ms": _edit("max"),
    "sign-ins/s": lambda outcome: outcome.sign_ins["sign_ins"] / ROUND_S,
    "until all were in, s": lambda outcome: outcome.sign_ins["burst_s"],
    "server CPU share, %": lambda outcome: 100 * outcome.server_share,
    "database CPU share, %": lambda outcome: 100 * outcome.database_share,
    "observer's turn, max, ms": lambda outcome: outcome.seen["turn_ms"]["max"],
}


def main() -> None:
    """Print the table; exit with 1 if the bar is missed."""
    asked = argparse.ArgumentParser(prog="python -m bench.sign_in", description=__doc__)
    asked.add_argument("--people", type=int, default=50)
    asked.add_argument("--rounds", type=int, default=ROUNDS)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = asyncio.run(measure(Path(folder), options.people, options.rounds))
    console = Console(width=130)
    console.print(table(f"{EDITS_PER_S} edits/s while people sign in", outcomes, _FIGURES))
    console.print(asyncio.run(measured_on()))
    _, during = outcomes.values()
    if any(one.edit_p99_ms > EDIT_P99_WITHIN_MS for one in during):
        sys.exit(f"the person's p99 is above {EDIT_P99_WITHIN_MS:g} ms while people sign in")


if __name__ == "__main__":
    main()
