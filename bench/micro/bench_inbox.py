"""A thousand small messages out of the stream of one socket."""

from pytest_benchmark.fixture import BenchmarkFixture
from websockets.http11 import Request

from bench.sockets import frame
from collab.inbox import Framing, Inbox

MESSAGES = 1_000
_HEAD = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def bench_inbox(benchmark: BenchmarkFixture) -> None:
    framing = Framing(max_size=1_000_000)
    inbox = Inbox(framing, 1_000_000)
    inbox.add(_HEAD)
    request = inbox.next()
    assert isinstance(request, Request)
    framing.send_response(framing.accept(request))
    stream = frame(bytes(60)) * MESSAGES

    def take() -> int:
        inbox.add(stream)
        taken = 0
        while inbox.next() is not None:
            taken += 1
        return taken

    assert benchmark(take) == MESSAGES
