"""Variable-length unsigned integers, as lib0 writes them (little endian, seven bits a byte).

Source: lib0/encoding.js `writeVarUint`, lib0/decoding.js `readVarUint`.
"""

from collab.wire.errors import MalformedError

MAX_VALUE = 2**53 - 1
"""The largest integer a JavaScript client can hold exactly."""


def read_varuint(data: bytes, position: int) -> tuple[int, int]:
    """Return the value at `position` and the position after it.

    Raises IndexError past the end of `data` and MalformedError above 2**53 - 1.
    """
    value = data[position]
    position += 1
    if value < 0x80:
        return value, position
    value &= 0x7F
    shift = 7
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 56:
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
