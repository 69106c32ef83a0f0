"""Bytes of the y-websocket protocol, as its clients write and read them.

Source: y-protocols `PROTOCOL.md` (sync, awareness) and lib0 `encoding.js` (variable length integers).
"""

SYNC, AWARENESS, SAVED = 0, 1, 102
STEP1, STEP2, UPDATE = 0, 1, 2


def varuint(number: int) -> bytes:
    """Seven bits per byte, least significant first; the high bit says that more follow."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(0x80 | number & 0x7F)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def read_varuint(data: bytes, offset: int = 0) -> tuple[int, int]:
    """Return the number at `offset` and the offset after it."""
    number = shift = 0
    while True:
        byte = data[offset]
        number |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 0x80:
            return number, offset


def sync(kind: int, payload: bytes) -> bytes:
    """One sync message: `kind` is STEP1 (with a state vector), STEP2 or UPDATE (with an update)."""
    return bytes((SYNC, kind)) + varuint(len(payload)) + payload


def read_sync(frame: bytes) -> tuple[int, bytes]:
    """Return kind and payload; a frame with a second message in it is one that old clients lose."""
    length, start = read_varuint(frame, 2)
    assert len(frame) == start + length, "the server put more than one message into a frame"
    return frame[1], frame[start:]


def saved(token: int) -> bytes:
    """Ask to hear `token` again once everything sent before it is committed."""
    return varuint(SAVED) + varuint(token)


def read_state_vector(state_vector: bytes) -> dict[int, int]:
    """Return the clock of every client with at least one change."""
    count, offset = read_varuint(state_vector)
    clocks = {}
    for _ in range(count):
        client, offset = read_varuint(state_vector, offset)
        clocks[client], offset = read_varuint(state_vector, offset)
    return {client: clock for client, clock in clocks.items() if clock}
