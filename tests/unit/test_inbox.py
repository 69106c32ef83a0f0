"""DOOR-3 and DOOR-4: a stream means the same however the network cuts it, and whoever takes its frames apart."""

import random
import tracemalloc

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from collab.inbox import SLICE_BYTES, Inbox

MESSAGE_BYTES = 100_000
SEED = random.SystemRandom().randrange(2**32)
HEAD = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def opened() -> tuple[ServerProtocol, Inbox]:
    """A server's end after its handshake."""
    framing = ServerProtocol(max_size=MESSAGE_BYTES)
    inbox = Inbox(framing, MESSAGE_BYTES)
    inbox.add(HEAD)
    request = inbox.next()
    assert isinstance(request, Request)
    framing.send_response(framing.accept(request))
    framing.data_to_send()
    return framing, inbox


def client() -> ClientProtocol:
    """The other end, that masks what it sends."""
    protocol = ClientProtocol(parse_uri("ws://a/"))
    protocol.state = State.OPEN
    return protocol


def taken(inbox: Inbox) -> list[tuple[Opcode, bytes, bool]]:
    """All that is whole by now."""
    found: list[tuple[Opcode, bytes, bool]] = []
    while (event := inbox.next()) is not None:
        assert not isinstance(event, Request)
        if isinstance(event, Frame):
            found.append((event.opcode, bytes(event.data), event.fin))
        else:
            found.append((Opcode.BINARY, bytes(event), True))
    return found


@pytest.mark.parametrize("round_", range(20))
def test_frames_are_the_same_however_the_stream_is_cut(round_: int) -> None:
    chance = random.Random(f"{SEED} {round_}")
    print(f"seed {SEED}")
    sender, expected = client(), []
    for _ in range(30):
        body = chance.randbytes(chance.choice([0, 1, 60, 125, 126, 500, 65_535, 65_536]))
        kind = chance.random()
        if kind < 0.7:
            sender.send_binary(body)
            expected.append((Opcode.BINARY, body, True))
        elif kind < 0.85:
            sender.send_ping(body[:125])
            expected.append((Opcode.PING, body[:125], True))
        else:
            sender.send_binary(body, fin=False)
            sender.send_ping(b"between")
            sender.send_continuation(b"end", fin=True)
            expected += [(Opcode.BINARY, body, False), (Opcode.PING, b"between", True), (Opcode.CONT, b"end", True)]
    stream = b"".join(sender.data_to_send())
    _, inbox = opened()
    found = []
    while stream:
        size = chance.choice([1, 2, 3, 7, 100, 4_000, 70_000])
        inbox.add(stream[:size])
        stream = stream[size:]
        found += taken(inbox)
    assert found == expected
    assert not inbox


def test_a_message_right_behind_the_request_waits_for_the_handshake() -> None:
    sender = client()
    sender.send_binary(b"early")
    framing = ServerProtocol(max_size=MESSAGE_BYTES)
    inbox = Inbox(framing, MESSAGE_BYTES)
    inbox.add(HEAD + b"".join(sender.data_to_send()))
    request = inbox.next()
    assert isinstance(request, Request)
    assert inbox.next() is None
    framing.send_response(framing.accept(request))
    assert taken(inbox) == [(Opcode.BINARY, b"early", True)]


@pytest.mark.parametrize(
    "frame",
    [
        b"\x82\xff" + (MESSAGE_BYTES + 1).to_bytes(8),
        b"\x82\x05hello",
        b"\xc2\x80\0\0\0\0",
        b"\x82\xff" + b"\xff" * 8,
    ],
    ids=["too large", "not masked", "reserved bit", "absurdly large"],
)
def test_what_may_not_come_ends_the_connection_at_its_first_bytes(frame: bytes) -> None:
    framing, inbox = opened()
    inbox.add(frame)
    assert taken(inbox) == []
    assert framing.close_sent is not None


def test_a_whole_message_between_fragments_ends_the_connection() -> None:
    sender = client()
    sender.send_binary(b"begun", fin=False)
    begun = b"".join(sender.data_to_send())
    framing, inbox = opened()
    inbox.add(begun + b"\x82\x80\0\0\0\0")
    assert taken(inbox) == [(Opcode.BINARY, b"begun", False)]
    assert framing.close_sent is not None


def test_a_fragment_that_makes_its_message_too_large_ends_the_connection_at_its_first_bytes() -> None:
    sender = client()
    sender.send_binary(bytes(MESSAGE_BYTES), fin=False)
    begun = b"".join(sender.data_to_send())
    framing, inbox = opened()
    inbox.add(begun + b"\x80\xff" + (MESSAGE_BYTES).to_bytes(8))
    assert taken(inbox) == [(Opcode.BINARY, bytes(MESSAGE_BYTES), False)]
    assert framing.close_sent is not None
    assert not inbox


def test_after_its_goodbye_nothing_a_client_sends_is_a_message() -> None:
    sender = client()
    sender.send_close(1000)
    goodbye = b"".join(sender.data_to_send())
    framing, inbox = opened()
    inbox.add(goodbye + b"\x82\x80\0\0\0\0")
    assert [opcode for opcode, _, _ in taken(inbox)] == [Opcode.CLOSE]
    assert framing.close_rcvd is not None
    assert not inbox


def test_what_a_refused_client_still_sends_is_dropped() -> None:
    framing = ServerProtocol(max_size=MESSAGE_BYTES)
    inbox = Inbox(framing, MESSAGE_BYTES)
    inbox.add(HEAD + b"early")
    assert isinstance(inbox.next(), Request)
    framing.send_response(framing.reject(404, "there is no such graph"))
    inbox.add(bytes(MESSAGE_BYTES))
    assert taken(inbox) == []
    assert not inbox


def test_after_our_goodbye_the_protocol_gets_what_comes_a_slice_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    framing, inbox = opened()
    framing.send_close(4400, "bad")
    sizes, receive_data = [], framing.receive_data

    def receive(data: bytes) -> None:
        sizes.append(len(data))
        receive_data(data)

    monkeypatch.setattr(framing, "receive_data", receive)
    inbox.add(b"\x8a\x80\0\0\0\0" * 10_000)
    assert len(taken(inbox)) == 10_000
    assert max(sizes) == SLICE_BYTES


def test_a_large_message_that_was_taken_is_not_held_on_to() -> None:
    sender = client()
    sender.send_binary(bytes(MESSAGE_BYTES))
    stream = b"".join(sender.data_to_send())
    _, inbox = opened()
    inbox.add(stream[:10])
    assert inbox.next() is None
    tracemalloc.start()
    try:
        inbox.add(stream[10:])
        assert inbox.next() == bytes(MESSAGE_BYTES)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < MESSAGE_BYTES // 10


def test_what_came_of_a_frame_before_the_stream_ended_is_dropped() -> None:
    framing, inbox = opened()
    inbox.add(b"\x82\xfe\1")
    assert inbox.next() is None
    framing.receive_eof()
    assert taken(inbox) == []
    assert not inbox
