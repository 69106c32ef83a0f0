"""People type, and one of them stops reading; afterwards it reads again."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict

from bench.client import Client
from bench.dialects import Address, length_prefixed
from bench.generator import Measurement
from bench.peers import Peer, hocuspocus, in_memory, layercake, rss_bytes, y_websocket
from bench.processes import Generator
from bench.scenario import Bar, Figure, Sample, Scenario
from bench.sockets import Inbox, frame, open_websocket
from tests.clients import frames
from tests.clients.replicas import PycrdtReplica

READERS = 49
UPDATES_PER_S = 2_000
ROUND_S = 20
PADDING_BYTES = 600
"""So large that what one reader misses is more than the system's buffers hold for it (4 MB)."""

CONVERGES_WITHIN_S = 60.0

_SMALL_BUFFER_BYTES = 4_096
_SAMPLE_EVERY_S = 0.05
_RECEIVE_BYTES = 1 << 20
_MB = 1024**2


async def run_round(peer: Peer) -> Sample:
    """Type without, then with the stalled reader, who has to end with the text that a newcomer gets."""
    control, control_growth = await type_all(peer, await peer.new_document())
    address = await peer.new_document()
    with join_and_stall(address) as stalled:
        seen, growth = await type_all(peer, address)
        async with Client(address) as newcomer:
            converged_s = await asyncio.to_thread(read_again, stalled, address, str(newcomer.replica.text))
    assert converged_s is not None, "the stalled reader did not converge"
    return {
        "control_growth_mb": control_growth / _MB,
        "stalled_growth_mb": growth / _MB,
        "growth_mb": (growth - control_growth) / _MB,
        "control_p95_ms": control.receive_p95_ms,
        "receive_p95_ms": seen.receive_p95_ms,
        "converged_s": converged_s,
        "generator_cpu_share": 100 * seen.generator_cpu_share,
    }


async def type_all(peer: Peer, address: Address) -> tuple[Measurement, int]:
    """Return what the readers measured, and by how much the server's memory grew at its highest."""
    typing = {"updates_per_s": UPDATES_PER_S, "seconds": ROUND_S, "kind": "text", "padding_bytes": PADDING_BYTES}
    async with Generator.ready("bench.generator", addresses=[asdict(address)], writers=READERS, **typing) as generator:
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


SCENARIOS = (
    Scenario(
        name="stalled",
        title="A reader that stops reading",
        claim="49 people make 40,000 updates of 600 characters, and a 50th stops reading, then reads again; by how "
        "much more the server's memory grows than without it.",
        figures=(
            Figure("growth_mb", "memory that the stalled reader costs", "MB"),
            Figure("control_growth_mb", "memory growth, nobody stalled", "MB"),
            Figure("stalled_growth_mb", "memory growth, one stalled", "MB"),
            Figure("control_p95_ms", "others' p95, nobody stalled", "ms"),
            Figure("receive_p95_ms", "others' p95, one stalled", "ms"),
            Figure("converged_s", "converged after reading again", "s"),
            Figure("generator_cpu_share", "load generator's CPU share", "%"),
        ),
        bars=(Bar("growth_mb", at_most=10),),
        peers=(layercake, in_memory(y_websocket), in_memory(hocuspocus)),
        run=run_round,
        rounds=3,
    ),
)
