"""The load generators tell messages apart however the stream was cut."""

from bench.sockets import Skimmer

SIZES = (0, 3, 64, 125, 126, 70_000)


def _of_a_server(payload: bytes) -> bytes:
    """One unmasked frame (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x82, size)) + payload
    width, mark = (2, 126) if size < 1 << 16 else (8, 127)
    return bytes((0x82, mark)) + size.to_bytes(width, "big") + payload


def test_messages_are_told_apart_wherever_the_stream_is_cut() -> None:
    payloads = [bytes(number % 251 for number in range(size)) for size in SIZES]
    stream = b"".join(map(_of_a_server, payloads))
    expected = [(payload[:64], len(payload)) for payload in payloads]
    for step in (1, 2, 7, 1_000, len(stream)):
        skimmer = Skimmer()
        pieces = [stream[start : start + step] for start in range(0, len(stream), step)]
        assert [message for piece in pieces for message in skimmer.take(piece)] == expected
