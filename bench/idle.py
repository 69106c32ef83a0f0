"""`make bench-idle`: what sockets cost that do nothing.

`python -m bench.idle [--sockets 2000] [--documents 500] [--dialect hocuspocus]`. Sockets join documents in turn and
stay; memory is looked at before and after, once it has settled. Presence, where there is some, is announced once.
"""

import argparse
import asyncio
import resource
import select
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.crowd import FIRST_CLIENT_ID
from bench.dialects import Address, Dialect
from bench.figures import table
from bench.peers import Peer, cpu_s, hocuspocus, layercake, pycrdt_websocket, rss_bytes, running, y_websocket
from bench.sockets import Line
from collab.wire.awareness import Entry, encode_awareness

SOCKETS, DOCUMENTS = 2_000, 500
SOCKET_AT_MOST_BYTES = 28 * 1024
QUIET_S = 3.0
"""How long nothing may arrive before memory is looked at."""

_WARM_UP_DOCUMENTS = 20
_JOINS_AT_ONCE = 16
_FILES_BESIDE = 1_000
_STATE = b'{"user":{"name":"Idle","color":"#30bced"}}'


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all sockets together cost."""

    sockets: int
    serving_bytes: int
    beside_bytes: int
    accepting_cpu_s: float
    dropped: int

    @property
    def socket_bytes(self) -> float:
        """Of the process that serves them."""
        return self.serving_bytes / self.sockets


async def run_round(peer: Peer, sockets: int, documents: int, *, with_presence: bool) -> Outcome:
    """Open sockets on new documents of `peer`, which was warmed up on others, and look."""
    warm_up = [await peer.new_document() for _ in range(_WARM_UP_DOCUMENTS)]
    addresses = [await peer.new_document() for _ in range(documents)]
    join_all(warm_up, len(warm_up), with_presence=with_presence)
    serving, beside = peer.server()[:1], peer.server()[1:]
    before = rss_bytes(serving), rss_bytes(beside), cpu_s(serving)
    lines = await asyncio.to_thread(join_all, addresses, sockets, with_presence=with_presence)
    after = rss_bytes(serving), rss_bytes(beside), cpu_s(serving)
    dropped = drain(lines)
    for line in lines:
        line.socket.close()
    return Outcome(sockets, after[0] - before[0], after[1] - before[1], after[2] - before[2], dropped)


def join_all(addresses: list[Address], sockets: int, *, with_presence: bool) -> list[Line]:
    """Join documents in turn, a few at a time, and return when the servers have said all they had to."""

    def join(number: int) -> Line:
        address = addresses[number % len(addresses)]
        line = Line(address.url)
        for message in (*address.greeting(), address.nothing()):
            line.send(message)
        if with_presence:
            line.send(address.awareness(encode_awareness([Entry(FIRST_CLIENT_ID + number, 1, _STATE)])))
        return line

    with ThreadPoolExecutor(_JOINS_AT_ONCE) as joining:
        lines = list(joining.map(join, range(sockets)))
    drain(lines)
    return lines


def drain(lines: list[Line]) -> int:
    """Read until nothing has come for QUIET_S; return how many connections the server closed."""
    readable, of_descriptor = select.epoll(), {line.socket.fileno(): line for line in lines}
    for descriptor in of_descriptor:
        readable.register(descriptor, select.EPOLLIN)
    dropped, quiet_since_s = 0, time.monotonic()
    while time.monotonic() - quiet_since_s < QUIET_S:
        for descriptor, _ in readable.poll(0.1):
            quiet_since_s = time.monotonic()
            try:
                of_descriptor[descriptor].receive()
            except ConnectionError:
                readable.unregister(descriptor)
                dropped += 1
    readable.close()
    return dropped


@asynccontextmanager
async def each(folder: Path, dialect: Dialect) -> AsyncIterator[list[Peer]]:
    """All servers, fresh."""
    async with AsyncExitStack() as servers:
        peers: list[Peer] = [await servers.enter_async_context(layercake(folder / "layercake", dialect))]
        programs = (hocuspocus(folder), y_websocket(), pycrdt_websocket(folder))
        yield peers + [await servers.enter_async_context(running(program)) for program in programs]


async def measure(folder: Path, sockets: int, documents: int, dialect: Dialect) -> dict[bool, dict[str, list[Outcome]]]:
    """Return the outcomes without and with presence; each has servers of its own."""
    outcomes: dict[bool, dict[str, list[Outcome]]] = {False: {}, True: {}}
    for with_presence, of_peer in outcomes.items():
        place = folder / f"presence-{with_presence}"
        place.mkdir()
        async with each(place, dialect) as peers:
            for peer in peers:
                of_peer[peer.name] = [await run_round(peer, sockets, documents, with_presence=with_presence)]
    return outcomes


_FIGURES: dict[str, Callable[[Outcome], float | None]] = {
    "serving process, KB a socket": lambda outcome: outcome.socket_bytes / 1024,
    "processes beside it, KB a socket": lambda outcome: outcome.beside_bytes / outcome.sockets / 1024,
    "CPU of one join, ms": lambda outcome: 1000 * outcome.accepting_cpu_s / outcome.sockets,
    "dropped": lambda outcome: outcome.dropped,
}


def main() -> None:
    """Print the tables; exit with 1 if a bar is missed."""
    asked = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    asked.add_argument("--sockets", type=int, default=SOCKETS)
    asked.add_argument("--documents", type=int, default=DOCUMENTS)
    asked.add_argument("--dialect", type=Dialect, default=Dialect.Y_WEBSOCKET, help="Layercake's")
    options = asked.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(options.sockets + _FILES_BESIDE, most), most))
    with tempfile.TemporaryDirectory() as folder:
        outcomes = asyncio.run(measure(Path(folder), options.sockets, options.documents, options.dialect))
    complaints = []
    for with_presence, of_peer in outcomes.items():
        presence = "with" if with_presence else "no"
        title = f"{options.sockets} idle sockets, {options.documents} documents, {presence} presence"
        Console(width=120).print(table(title, of_peer, _FIGURES))
        ours = of_peer["Layercake"][0]
        if ours.socket_bytes > SOCKET_AT_MOST_BYTES or ours.dropped:
            complaints.append(f"{title}: a socket costs {ours.socket_bytes / 1024:.1f} KB, {ours.dropped} were dropped")
    if complaints:
        sys.exit("; ".join(complaints))


if __name__ == "__main__":
    main()
