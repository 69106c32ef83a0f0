"""`make bench`: one graph, 50 people typing, and what each update costs on its way to the other 49."""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from bench.figures import ratio, table
from bench.generator import Measurement
from bench.peers import Acknowledgement, Peer, cpu_s, layercake, running, y_websocket
from bench.processes import Generator

CLIENTS = 50
UPDATES_PER_S = 2000
ROUND_S = 10
WARM_UP_S = 2
ROUNDS = 3
BUSY_GENERATOR_SHARE = 0.9


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
    async with Generator.ready(
        "bench.generator",
        address=asdict(await peer.new_document()),
        clients=CLIENTS,
        updates_per_s=UPDATES_PER_S,
        seconds=seconds,
        padding_bytes=0,
        ask_saved=peer.acknowledgement == Acknowledgement.ECHO,
    ) as generator:
        before = cpu_s(peer.server()), cpu_s(peer.database())
        generator.go()
        await generator.done()
        after = cpu_s(peer.server()), cpu_s(peer.database())
        return Outcome(Measurement(**await generator.report()), after[0] - before[0], after[1] - before[1])


async def measure(folder: Path) -> dict[str, list[Outcome]]:
    """Run the peers in turn (A B A B …), so that a slow moment of the machine meets both."""
    async with layercake(folder) as ours, running(y_websocket()) as theirs:
        peers: tuple[Peer, ...] = (ours, theirs)
        outcomes: dict[str, list[Outcome]] = {peer.name: [] for peer in peers}
        for peer in peers:
            await run_round(peer, WARM_UP_S)
        for _ in range(ROUNDS):
            for peer in peers:
                outcomes[peer.name].append(await run_round(peer, ROUND_S))
        return outcomes


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


def main() -> None:
    """Print the table; exit with 1 if a server did not deliver everything or the generator was too busy."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = asyncio.run(measure(Path(folder)))
    console = Console()
    title = f"{CLIENTS} clients, {UPDATES_PER_S} updates/s, median of {ROUNDS} rounds of {ROUND_S} s"
    console.print(table(title, outcomes, _FIGURES))
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
