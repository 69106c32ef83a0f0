"""What sockets cost that do nothing."""

import asyncio
import resource
import select
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from bench.crowd import FIRST_CLIENT_ID
from bench.dialects import Address
from bench.peers import Peer, cpu_s, hocuspocus, in_memory, layercake, pycrdt_websocket, rss_bytes, y_websocket
from bench.scenario import Bar, Figure, Sample, Scenario
from bench.sockets import Line
from collab.wire.awareness import Entry, encode_awareness

SOCKETS, DOCUMENTS = 2_000, 500
QUIET_S = 3.0
"""How long nothing may arrive before memory is looked at."""

_WARM_UP_DOCUMENTS = 20
_JOINS_AT_ONCE = 16
_FILES_BESIDE = 1_000
_STATE = b'{"user":{"name":"Idle","color":"#30bced"}}'


async def stay(peer: Peer, *, with_presence: bool) -> Sample:
    """Open sockets on new documents of `peer`, started for it and warmed up on others, and look once it has settled."""
    await peer.kill()  # a server that had as many before would take them into the memory of those
    await peer.start()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(SOCKETS + _FILES_BESIDE, most), most))
    warm_up = await peer.new_documents(_WARM_UP_DOCUMENTS)
    addresses = await peer.new_documents(DOCUMENTS)
    leave(await asyncio.to_thread(join_all, warm_up, len(warm_up), with_presence=with_presence))
    serving, beside = peer.server()[:1], peer.server()[1:]
    before = rss_bytes(serving), rss_bytes(beside), cpu_s(serving)
    lines = await asyncio.to_thread(join_all, addresses, SOCKETS, with_presence=with_presence)
    after = rss_bytes(serving), rss_bytes(beside), cpu_s(serving)
    dropped = await asyncio.to_thread(drain, lines)
    leave(lines)
    return {
        "socket_kb": (after[0] - before[0]) / SOCKETS / 1024,
        "beside_kb": (after[1] - before[1]) / SOCKETS / 1024,
        "join_us": 1e6 * (after[2] - before[2]) / SOCKETS,
        "dropped": dropped,
    }


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


def leave(lines: list[Line]) -> None:
    """Close all connections."""
    for line in lines:
        line.socket.close()


def _staying(*, with_presence: bool) -> Callable[[Peer], Awaitable[Sample]]:
    return lambda peer: stay(peer, with_presence=with_presence)


_FIGURES = (
    Figure("socket_kb", "memory of the serving process for each socket", "KB"),
    Figure("beside_kb", "memory of the processes beside it", "KB"),
    Figure("join_us", "CPU to accept one", "us", 0),
    Figure("dropped", "dropped by the server", "", 0),
)
_BARS = (Bar("socket_kb", at_most=28), Bar("join_us", at_most=400), Bar("dropped", at_most=0))
_SERVERS = (layercake, in_memory(y_websocket), in_memory(hocuspocus), in_memory(pycrdt_websocket))

SCENARIOS = (
    Scenario(
        name="idle",
        title="2,000 idle sockets",
        claim="2,000 clients join 500 documents and do nothing; what each costs, its part of the documents included.",
        figures=_FIGURES,
        bars=_BARS,
        peers=_SERVERS,
        run=_staying(with_presence=False),
        rounds=3,
    ),
    Scenario(
        name="idle-present",
        title="2,000 idle sockets of people who are present",
        claim="2,000 clients join 500 documents, announce themselves once and do nothing more; what each costs.",
        figures=_FIGURES,
        bars=_BARS,
        peers=_SERVERS,
        run=_staying(with_presence=True),
        rounds=3,
    ),
)
