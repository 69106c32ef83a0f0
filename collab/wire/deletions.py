"""What an update deletes: ranges of clocks by client.

Source: yjs/src/utils/DeleteSet.js `writeDeleteSet`.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import itemgetter

from collab.wire.varuint import read_varuint

Ranges = Mapping[int, Sequence[tuple[int, int]]]
"""For each client the ranges `(start, end)` of its clocks, sorted, none of them touching the next."""


def deleted_ranges(update: bytes, position: int) -> Ranges:
    """Return what a walked update deletes; its deletions begin at `position`."""
    found: dict[int, list[tuple[int, int]]] = {}
    clients, position = read_varuint(update, position)
    for _ in range(clients):
        client, position = read_varuint(update, position)
        count, position = read_varuint(update, position)
        ranges = found.setdefault(client, [])
        for _ in range(count):
            start, position = read_varuint(update, position)
            length, position = read_varuint(update, position)
            if length:
                ranges.append((start, start + length))
    return {client: _joined(ranges) for client, ranges in found.items() if ranges}


def covers(known: Ranges, wanted: Ranges) -> bool:
    """Return whether all of `wanted` is within `known`."""
    return all(_covers(known.get(client, ()), ranges) for client, ranges in wanted.items())


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _covers(known: Sequence[tuple[int, int]], wanted: Sequence[tuple[int, int]]) -> bool:
    for start, end in wanted:
        at = bisect_right(known, start, key=itemgetter(0)) - 1
        if at < 0 or known[at][1] < end:
            return False
    return True
