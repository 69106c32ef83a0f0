"""`make crash-table`: what of their acknowledged updates servers still have after kill -9.

`python -m bench.crash_table [--rounds N] [--seed N] [--no-page]` prints the table and writes it into
docs/reliability.md.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.crash_load import Load
from bench.machine import measured_on
from bench.peers import Peer, hocuspocus, layercake, pycrdt_websocket, running, y_websocket

ROUNDS = 5
RATES = (200, 2_000)
LONGEST_LOAD_S = 12.0
"""A kill comes at a random moment up to here, which is beyond the longest that any of them puts storing off (10 s)."""

LAST_WORD_WITHIN_S = 0.05
SETTLES_S = 5.0
"""How long after a restart a client that misses something waits for more."""

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- crash-table:begin -->\n", "<!-- crash-table:end -->"
HEADINGS = (
    "Server, killed",
    "Store",
    "Says saved by",
    *(f"{rate:,} updates/s" for rate in RATES),
    "Last edit before everybody left",
)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server and who is killed."""

    peer: Peer
    killed: str
    kill: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Cell:
    """What was acknowledged and what of it is missing, over all rounds."""

    acknowledged: int = 0
    missing: int = 0

    def add(self, acknowledged: int, missing: int) -> None:
        self.acknowledged += acknowledged
        self.missing += missing

    def __str__(self) -> str:
        share = 100 * self.missing / self.acknowledged
        shown = f"{share:.2g}" if share < 1 else f"{share:.0f}"
        return f"{self.missing:,} of {self.acknowledged:,} lost ({shown} %)"


@dataclass(slots=True)
class Row:
    """One line of the table."""

    contestant: Contestant
    loads: dict[int, Cell] = field(default_factory=lambda: {rate: Cell() for rate in RATES})
    last_word: Cell = field(default_factory=Cell)

    def texts(self) -> list[str]:
        peer = self.contestant.peer
        name = f"{peer.name}, {self.contestant.killed}"
        return [name, peer.store, str(peer.acknowledgement), *map(str, self.loads.values()), str(self.last_word)]


async def load_round(contestant: Contestant, updates_per_s: int, seed: int) -> tuple[int, int]:
    """Kill at a random moment of a running load; return how much was acknowledged and how much of it is missing."""
    peer = contestant.peer
    address = await peer.new_document()
    async with Load.joined(address, peer.acknowledgement, updates_per_s, seed) as load, load.writing():
        await load.acknowledged_beyond(updates_per_s // 10)
        await asyncio.sleep(random.Random(seed).uniform(0, LONGEST_LOAD_S))
        await contestant.kill()
    await peer.start()
    return load.acknowledged, await load.missing(address, SETTLES_S)


async def last_word_round(contestant: Contestant, seed: int) -> tuple[int, int]:
    """One edit, its acknowledgement, everybody leaves, and the kill comes within LAST_WORD_WITHIN_S of it."""
    peer = contestant.peer
    address = await peer.new_document()
    async with Load.joined(address, peer.acknowledgement, 1, seed, writers=1) as load:
        await load.writers[0].write()
        await load.acknowledged_beyond(0)
        due_s = time.monotonic() + random.Random(seed).uniform(0, LAST_WORD_WITHIN_S)
    await asyncio.sleep(due_s - time.monotonic())
    await contestant.kill()
    await peer.start()
    return load.acknowledged, await load.missing(address, SETTLES_S)


async def measure(folder: Path, seeds: list[int]) -> list[Row]:
    """Run every round against every server, one server after the other within each round."""
    async with contestants(folder) as all_of_them:
        rows = [Row(contestant) for contestant in all_of_them]
        for seed in seeds:
            for row in rows:
                for rate, cell in row.loads.items():
                    cell.add(*await load_round(row.contestant, rate, seed + rate))
                row.last_word.add(*await last_word_round(row.contestant, seed))
                print(*row.texts(), sep=" | ", flush=True)
        return rows


@asynccontextmanager
async def contestants(folder: Path) -> AsyncIterator[list[Contestant]]:
    """All servers, running."""
    async with AsyncExitStack() as servers:
        ours = await servers.enter_async_context(layercake(folder / "layercake"))
        found = [
            Contestant(ours, "the server", ours.kill),
            Contestant(ours, "the server and its PostgreSQL", ours.kill_all),
        ]
        for program in (hocuspocus(folder), y_websocket(folder), pycrdt_websocket(folder)):
            await servers.enter_async_context(running(program))
            found.append(Contestant(program, "the server", program.kill))
        yield found


def markdown(rows: list[Row], rounds: int, seed: int, machine: str) -> str:
    """The table as the page has it."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.texts() for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{rounds} rounds a cell, seed {seed}; {machine}.\n"


def write_page(table: str) -> None:
    """Put the table between the page's marks."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after, f"{PAGE} lacks its marks"
    PAGE.write_text(before + BEGIN + table + END + after)


def shown(rows: list[Row]) -> Table:
    """The table as a terminal has it."""
    table = Table(title="acknowledged updates that are missing after kill -9")
    for heading in HEADINGS:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row.texts())
    return table


def main() -> None:
    """Measure, print, and write the page."""
    asked = argparse.ArgumentParser(prog="python -m bench.crash_table", description=__doc__)
    asked.add_argument("--rounds", type=int, default=ROUNDS, help="kills a cell")
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    asked.add_argument("--no-page", action="store_true", help="leave docs/reliability.md as it is")
    options = asked.parse_args()
    print(f"seed {options.seed}")
    seeds = [options.seed + 10_000 * number for number in range(options.rounds)]
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(Path(folder), seeds))
    Console(width=200).print(shown(rows))
    if not options.no_page:
        write_page(markdown(rows, options.rounds, options.seed, asyncio.run(measured_on())))


if __name__ == "__main__":
    main()
