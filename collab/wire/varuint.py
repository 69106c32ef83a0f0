"""Variable-length unsigned integers, as lib0 writes them (little endian, seven bits a byte).

Source: lib0/encoding.js `writeVarUint`, lib0/decoding.js `readVarUint`.
"""

from collab.wire.errors import MalformedError

MAX_VALUE = 2**53 - 1
"""The largest integer a JavaScript client can hold exactly."""

_SHIFTS = range(14, 63, 7)
"""By how much the third byte to the ninth are shifted."""


def read_varuint(data: bytes, position: int) -> tuple[int, int]:
    """Return the value at `position` and the position after it.

    Raises IndexError past the end of `data` and MalformedError above 2**53 - 1.
    """
    value = data[position]
    if value < 0x80:
        return value, position + 1
    byte = data[position + 1]
    if byte < 0x80:
        return value - 0x80 + (byte << 7), position + 2
    return _read_long(data, position + 2, value - 0x80 + (byte - 0x80 << 7))


def _read_long(data: bytes, position: int, value: int) -> tuple[int, int]:
    """Go on behind two bytes of an integer that make `value`."""
    for shift in _SHIFTS:
        byte = data[position]
        position += 1
        if byte < 0x80:
            value += byte << shift
            break
        value += byte - 0x80 << shift
    else:
        raise MalformedError("an integer is longer than eight bytes")
    if value > MAX_VALUE:
        raise MalformedError("an integer is larger than 2**53 - 1")
    return value, position


def read_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    """Return the length-prefixed bytes at `position` and the position after them."""
    length, position = read_varuint(data, position)
    end = position + length
    if end > len(data):
        raise MalformedError(f"{length} bytes are announced, {len(data) - position} are there")
    return data[position:end], end


def varuint(value: int) -> bytes:
    """Return `value` encoded."""
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def prefixed(content: bytes) -> bytes:
    """Return `content` after its length."""
    return varuint(len(content)) + content
