"""Advisory locks of graphs and projects: one space of keys for each purpose, so that they never meet.

Of PostgreSQL's 64 bit keys the top two bits say what for, the others are the last 62 bits of the
graph's or project's id, which are random (RFC 9562, 5.7).
"""

from enum import IntEnum
from uuid import UUID

_ID_BITS = 62


class LockKind(IntEnum):
    """What a lock is held for."""

    FLUSH = 0
    """Shared by every transaction that adds operations; held exclusively to read the highest id."""
    LEASE = 1
    """Held by the connection of the one node that serves the graph."""
    FOLLOWER = 2
    """Held by the connection of the one follower that projects and compacts the graph."""
    EXECUTION = 3
    """Held by the connection of the one run of a plan that is under way; the id is that of the project."""


def graph_lock(graph_id: UUID, kind: LockKind) -> int:
    """Return the key of a graph's lock, as PostgreSQL's signed bigint."""
    key = kind << _ID_BITS | graph_id.int & (1 << _ID_BITS) - 1
    return key - (1 << 64) if key >= 1 << 63 else key
