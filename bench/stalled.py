"""`make bench-stalled`: people type, and one of them stops reading.

`python -m bench.stalled [--updates 10000] [--rounds N]`. Each round is run twice, with the stalled reader and, as the
control, without. Afterwards it reads again and has to end with the text that a newcomer gets.
"""

import argparse
import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from bench.client import Client
from bench.dialects import Address, length_prefixed
from bench.figures import table
from bench.generator import Measurement
from bench.peers import Peer, hocuspocus, layercake, rss_bytes, running, y_websocket
from bench.processes import Generator
from bench.sockets import Inbox, frame, open_websocket
from tests.clients import frames
from tests.clients.replicas import PycrdtReplica

READERS = 49
UPDATES_PER_S = 2_000
UPDATES = 10_000
ROUNDS = 2
PADDING_BYTES = 600
"""So large that what one reader misses is more than the system's buffers hold for it (4 MB)."""

GROWTH_AT_MOST_BYTES = 8 * 1024**2
CONVERGES_WITHIN_S = 60.0

_SMALL_BUFFER_BYTES = 4_096
_SAMPLE_EVERY_S = 0.05
_RECEIVE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """A round with the stalled reader beside one without."""

    control: Measurement
    control_growth_bytes: int
    stalled: Measurement
    stalled_growth_bytes: int
    converged_after_s: float | None

    @property
    def growth_bytes(self) -> int:
        """What the stalled reader alone cost."""
        return self.stalled_growth_bytes - self.control_growth_bytes


async def run_round(peer: Peer, seconds: int) -> Outcome:
    """Type without, then with the stalled reader."""
    control, control_growth = await type_all(peer, await peer.new_document(), seconds)
    address = await peer.new_document()
    with join_and_stall(address) as stalled:
        seen, growth = await type_all(peer, address, seconds)
        async with Client(address) as newcomer:
            converged_s = await asyncio.to_thread(read_again, stalled, address, str(newcomer.replica.text))
    return Outcome(control, control_growth, seen, growth, converged_s)


async def type_all(peer: Peer, address: Address, seconds: int) -> tuple[Measurement, int]:
    """Return what the readers measured, and by how much the server's memory grew at its highest."""
    async with Generator.ready(
        "bench.generator",
        address=asdict(address),
        clients=READERS,
        updates_per_s=UPDATES_PER_S,
        seconds=seconds,
        padding_bytes=PADDING_BYTES,
        ask_saved=False,
    ) as generator:
        async with highest_memory(peer) as highest:
            before = highest()
            generator.go()
            await generator.done()
        return Measurement(**await generator.report()), highest() - before


@asynccontextmanager
async def highest_memory(peer: Peer) -> AsyncIterator[Callable[[], int]]:
    """Look at the memory of the serving process all the while; the highest so far is what the callable returns."""
    serving = peer.server()[:1]
    highest = rss_bytes(serving)

    async def look() -> None:
        nonlocal highest
        while True:
            highest = max(highest, rss_bytes(serving))
            await asyncio.sleep(_SAMPLE_EVERY_S)

    looking = asyncio.create_task(look())
    try:
        yield lambda: highest
    finally:
        looking.cancel()


def join_and_stall(address: Address) -> socket.socket:
    """Join with small buffers, and read no more than the handshake."""
    connection = open_websocket(address.url, _SMALL_BUFFER_BYTES)
    for message in (*address.greeting(), address.nothing()):
        connection.sendall(frame(message))
    return connection


def read_again(connection: socket.socket, address: Address, expected: str) -> float | None:
    """Read until the document shows `expected`; return how long it took, or None if it never did."""
    began_s, inbox, replica = time.monotonic(), Inbox(), PycrdtReplica()
    connection.settimeout(1)
    while time.monotonic() - began_s < CONVERGES_WITHIN_S:
        if str(replica.text) == expected:
            return time.monotonic() - began_s
        try:
            piece = connection.recv(_RECEIVE_BYTES)
        except TimeoutError:
            continue
        if not piece:
            return None
        for message in inbox.take(piece):
            kind, rest = address.read(message)
            if kind == frames.SYNC and rest[0] != frames.STEP1:
                replica.apply(length_prefixed(rest[1:]))
    return None


async def measure(folder: Path, seconds: int, rounds: int) -> dict[str, list[Outcome]]:
    """Run the servers in turn, after a warm-up of each that is not counted."""
    async with AsyncExitStack() as servers:
        peers: list[Peer] = [await servers.enter_async_context(layercake(folder / "layercake"))]
        programs = (hocuspocus(folder), y_websocket())
        peers += [await servers.enter_async_context(running(program)) for program in programs]
        outcomes: dict[str, list[Outcome]] = {peer.name: [] for peer in peers}
        for peer in peers:
            await type_all(peer, await peer.new_document(), seconds)
        for _ in range(rounds):
            for peer in peers:
                outcomes[peer.name].append(await run_round(peer, seconds))
        return outcomes


_FIGURES: dict[str, Callable[[Outcome], float | None]] = {
    "memory growth, nobody stalled, MB": lambda outcome: outcome.control_growth_bytes / 1024**2,
    "memory growth, one stalled, MB": lambda outcome: outcome.stalled_growth_bytes / 1024**2,
    "the difference, MB": lambda outcome: outcome.growth_bytes / 1024**2,
    "others' p95, nobody stalled, ms": lambda outcome: outcome.control.receive_p95_ms,
    "others' p95, one stalled, ms": lambda outcome: outcome.stalled.receive_p95_ms,
    "converged after reading again, s": lambda outcome: outcome.converged_after_s,
    "load generator CPU share, %": lambda outcome: 100 * outcome.stalled.generator_cpu_share,
}


def missed(ours: list[Outcome]) -> list[str]:
    """Return, in words, what is beyond its bar in any round."""
    complaints = []
    if any(one.growth_bytes > GROWTH_AT_MOST_BYTES for one in ours):
        complaints.append(f"a stalled reader costs more than {GROWTH_AT_MOST_BYTES // 1024**2} MB")
    if any(one.converged_after_s is None for one in ours):
        complaints.append("the stalled reader did not converge")
    return complaints


def main() -> None:
    """Print the table; exit with 1 if a bar is missed."""
    asked = argparse.ArgumentParser(prog="python -m bench.stalled", description=__doc__)
    asked.add_argument("--updates", type=int, default=UPDATES)
    asked.add_argument("--rounds", type=int, default=ROUNDS)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = asyncio.run(measure(Path(folder), options.updates // UPDATES_PER_S, options.rounds))
    title = f"{READERS} people make {options.updates} updates, median of {options.rounds} rounds"
    Console(width=120).print(table(title, outcomes, _FIGURES))
    if complaints := missed(outcomes["Layercake"]):
        sys.exit("; ".join(complaints))


if __name__ == "__main__":
    main()
