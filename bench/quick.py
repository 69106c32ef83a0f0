"""`make bench`: one graph, 50 people typing, and what each update costs on its way to the other 49."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.generator import Measurement
from bench.peers import Peer, cpu_s, layercake, y_websocket

CLIENTS = 50
UPDATES_PER_S = 2000
ROUND_S = 10
WARM_UP_S = 2
ROUNDS = 3
BUSY_GENERATOR_SHARE = 0.9
_ROUND_WITHIN_S = 120


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round: the view from outside, and the CPU it took inside."""

    seen: Measurement
    server_cpu_s: float
    database_cpu_s: float

    @property
    def server_us(self) -> float:
        return 1e6 * self.server_cpu_s / self.seen.deliveries

    @property
    def database_us(self) -> float:
        return 1e6 * self.database_cpu_s / self.seen.deliveries


async def run_round(peer: Peer, seconds: int) -> Outcome:
    """Load a new document of `peer` for `seconds`."""
    arguments = (await peer.new_document(), str(CLIENTS), str(UPDATES_PER_S), str(seconds))
    generator = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.generator",
        *arguments,
        "ask" if peer.acknowledges else "-",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_ROUND_WITHIN_S):
        assert generator.stdin is not None
        assert generator.stdout is not None
        assert await generator.stdout.readline() == b"ready\n"
        before = cpu_s(peer.server()), cpu_s(peer.database())
        generator.stdin.write(b"go\n")
        assert await generator.stdout.readline() == b"done\n"
        after = cpu_s(peer.server()), cpu_s(peer.database())
        seen = Measurement(**json.loads(await generator.stdout.readline()))
        await generator.wait()
    return Outcome(seen, after[0] - before[0], after[1] - before[1])


async def measure(folder: Path) -> dict[str, list[Outcome]]:
    """Run the peers in turn (A B A B …), so that a slow moment of the machine meets both."""
    async with layercake(folder) as ours, y_websocket() as theirs:
        peers = (ours, theirs)
        outcomes: dict[str, list[Outcome]] = {peer.name: [] for peer in peers}
        for peer in peers:
            await run_round(peer, WARM_UP_S)
        for _ in range(ROUNDS):
            for peer in peers:
                outcomes[peer.name].append(await run_round(peer, ROUND_S))
        return outcomes


def table(outcomes: dict[str, list[Outcome]]) -> Table:
    """Medians over the rounds, one column per server."""
    shown = Table(title=f"{CLIENTS} clients, {UPDATES_PER_S} updates/s, median of {ROUNDS} rounds of {ROUND_S} s")
    shown.add_column("")
    for name in outcomes:
        shown.add_column(name, justify="right")
    for label, figure in _FIGURES.items():
        shown.add_row(label, *(_shown(figure, of_peer) for of_peer in outcomes.values()))
    return shown


_FIGURES: dict[str, Callable[[Outcome], float | None]] = {
    "server CPU per delivery, us": lambda outcome: outcome.server_us,
    "database CPU per delivery, us": lambda outcome: outcome.database_us,
    "server CPU share, %": lambda outcome: 100 * outcome.server_cpu_s / outcome.seen.wall_s,
    "received after p50, ms": lambda outcome: outcome.seen.receive_p50_ms,
    "received after p99, ms": lambda outcome: outcome.seen.receive_p99_ms,
    "saved after p50, ms": lambda outcome: outcome.seen.saved_p50_ms,
    "saved after p99, ms": lambda outcome: outcome.seen.saved_p99_ms,
    "delivered, %": lambda outcome: 100 * outcome.seen.deliveries / outcome.seen.expected_deliveries,
    "load generator CPU share, %": lambda outcome: 100 * outcome.seen.generator_cpu_share,
    "latest send, ms": lambda outcome: outcome.seen.latest_send_ms,
}


def _shown(figure: Callable[[Outcome], float | None], outcomes: list[Outcome]) -> str:
    values = [value for outcome in outcomes if (value := figure(outcome)) is not None]
    return f"{median(values):.2f}" if values else "-"


def ratio(ours: list[Outcome], theirs: list[Outcome], figure: Callable[[Outcome], float]) -> str:
    """How a figure compares, with the range over pairs of neighbouring rounds."""
    pairs = [figure(a) / figure(b) for a, b in zip(ours, theirs, strict=True)]
    middle = median(map(figure, ours)) / median(map(figure, theirs))
    return f"{middle:.2f} ({min(pairs):.2f} to {max(pairs):.2f})"


def main() -> None:
    """Print the table; exit with 1 if a server did not deliver everything or the generator was too busy."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = asyncio.run(measure(Path(folder)))
    console = Console()
    console.print(table(outcomes))
    ours, theirs = outcomes.values()
    compared = "Layercake / y-websocket, CPU per delivery"
    console.print(f"{compared}, server alone: {ratio(ours, theirs, lambda o: o.server_us)}")
    console.print(f"{compared}, with database: {ratio(ours, theirs, lambda o: o.server_us + o.database_us)}")
    seen = [outcome.seen for of_peer in outcomes.values() for outcome in of_peer]
    if any(round_.deliveries != round_.expected_deliveries for round_ in seen):
        sys.exit("not everything was delivered: the figures do not compare")
    if any(round_.generator_cpu_share > BUSY_GENERATOR_SHARE for round_ in seen):
        sys.exit("the load generator was too busy: the latencies are its own")


if __name__ == "__main__":
    main()
