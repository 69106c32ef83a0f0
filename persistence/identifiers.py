"""UUIDv7: keys that sort by the time they were made."""

import secrets
import time
from uuid import UUID

RANDOM_BYTES = 10
"""How much randomness one identifier takes; 6 of its 80 bits give way to version and variant."""


def uuid7(now_ms: int, random: bytes) -> UUID:
    """Return the UUIDv7 of `now_ms` (Unix milliseconds) and `random` (RANDOM_BYTES long); RFC 9562, 5.7.

    Pure. Two made in different milliseconds sort by time; in the same one, by their random part.
    """
    value = (now_ms << 80) | int.from_bytes(random)
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return UUID(int=value)


def new_id() -> UUID:
    """Return a UUIDv7 of this moment that nobody can guess."""
    return uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(RANDOM_BYTES))
