"""Presence that clients repeat, recognised without being parsed.

A stock client sends back every presence it hears, without its own: with n clients in a room, n copies of
each frame of n entries. What is byte for byte part of a frame that left here is no news, whoever sends it.
Source: y-websocket/src/y-websocket.js `_awarenessUpdateHandler`.
"""

from collections import deque
from collections.abc import Mapping
from itertools import accumulate

from collab.wire.awareness import Entry, check_end, read_count, read_entry
from collab.wire.errors import MalformedError
from collab.wire.varuint import varuint

KEPT_FRAMES = 16
"""Frames that are recognised: those of the last seconds."""

KEPT_BYTES = 2 * 1024 * 1024
"""Size of the frames that are recognised, together; a larger one is not kept."""


class _Frame:
    """One frame that was sent: its entries, one after the other, and where each begins and ends."""

    def __init__(self, entries: Mapping[int, bytes]) -> None:
        self.body = b"".join(entries.values())
        self.bounds = list(accumulate(map(len, entries.values()), initial=0))
        self._places: dict[int, int] | None = None
        self._clients = tuple(entries)

    def place(self, client: int) -> int | None:
        """Return which entry is that of `client`."""
        if self._places is None:
            self._places = {client: place for place, client in enumerate(self._clients)}
        return self._places.get(client)

    def run(self, place: int, update: bytes, position: int, at_most: int) -> int:
        """Return how many entries from `place` on are in `update` from `position` on.

        Takes time in proportion to the bytes of those: the stretch compared doubles until it differs, then halves.
        """

        def is_same(first: int, stop: int) -> bool:
            low, high = bounds[first], bounds[stop]
            return update.startswith(self.body[low:high], position + low - bounds[place])

        bounds = self.bounds
        same, step, last = place, 1, min(place + at_most, len(self._clients))
        while same < last and is_same(same, stop := min(same + step, last)):
            same, step = stop, 2 * step
        last = min(same + step, last) - 1
        while same < last:
            middle = (same + last + 1) // 2
            same, last = (middle, last) if is_same(same, middle) else (same, middle - 1)
        return same - place


class Echoes:
    """The last frames of presence that a room sent."""

    def __init__(self) -> None:
        self._frames: deque[_Frame] = deque()
        self._bytes = 0

    def remember(self, entries: Mapping[int, bytes]) -> bytes:
        """Return `entries`, encoded and by client, as one awareness update that will be recognised."""
        frame = _Frame(entries)
        if len(frame.body) <= KEPT_BYTES:
            self._frames.appendleft(frame)
            self._bytes += len(frame.body)
        while len(self._frames) > KEPT_FRAMES or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._frames.pop().body)
        return varuint(len(entries)) + frame.body

    def strange(self, update: bytes, max_entries: int) -> list[Entry]:
        """Return the entries of an awareness update that are in none of the frames, states unparsed.

        Raises MalformedError for anything but exactly one update of at most `max_entries`.
        """
        entries = []
        try:
            count, position = read_count(update, max_entries)
            while count:
                entry, after = read_entry(update, position)
                run, echoed_bytes = self._run(update, position, entry.client, count)
                if not run:
                    entries.append(entry)
                count -= run or 1
                position = position + echoed_bytes if run else after
        except IndexError:
            raise MalformedError("the awareness update ends early") from None
        check_end(update, position)
        return entries

    def _run(self, update: bytes, position: int, client: int, at_most: int) -> tuple[int, int]:
        for frame in self._frames:
            place = frame.place(client)
            if place is not None:
                run = frame.run(place, update, position, at_most)
                if run:
                    return run, frame.bounds[place + run] - frame.bounds[place]
        return 0, 0
