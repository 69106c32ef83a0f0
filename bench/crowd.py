"""Many people who are present and move their cursors; a process that the scenarios of presence start.

In the y-websocket dialect they do what the stock client does: it sends every change of presence that it
hears back to the server, in the order added, updated, removed, without its own (y-websocket 2.1,
`_awarenessUpdateHandler`). The states are canonical JSON, so parsing and printing them again changes nothing.
"""

import json
import select
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from bench.dialects import Address, Dialect, length_prefixed
from bench.processes import asked_for, is_told_to_stop, say_done_and_report, say_ready_and_wait
from bench.sockets import Inbox, Line
from collab.wire.awareness import GONE, Entry, decode_awareness, encode_awareness
from tests.clients import frames

TICK_S = 0.002
FIRST_CLIENT_ID = 10_000
_MOST_ENTRIES = 10_000
_RECENT_MESSAGES = 256
_COLORS = ("#30bced", "#6eeb83", "#ffbc42", "#ecd444", "#ee6352")


@dataclass(slots=True)
class Person:
    """One client and what it knows of the others."""

    client_id: int
    line: Line
    inbox: Inbox = field(default_factory=Inbox)
    clock: int = 0
    clocks: dict[int, int] = field(default_factory=dict)

    def state(self) -> bytes:
        """What an editor in a browser shows; the cursor's x is the time in ms, for those who measure."""
        number = self.client_id - FIRST_CLIENT_ID
        shown = {
            "user": {"name": f"Person {number}", "color": _COLORS[number % len(_COLORS)]},
            "cursor": {"x": int(1000 * time.monotonic()), "y": number},
            "selection": [f"n{number}"],
        }
        return json.dumps(shown, separators=(",", ":")).encode()

    def renewed(self) -> bytes:
        """The next state, as entries."""
        self.clock += 1
        return encode_awareness([Entry(self.client_id, self.clock, self.state())])

    def repeated(self, entries: bytes) -> bytes | None:
        """What the stock client sends when it hears `entries`; None if nothing is new to it."""
        heard = _decoded(entries)
        news = [one for one in heard if one.client != self.client_id and one.clock > self.clocks.get(one.client, -1)]
        if not news:
            return None
        ordered = sorted(news, key=self._kind)
        self.clocks.update((one.client, one.clock) for one in news)
        return entries if len(news) == len(heard) and ordered == news else encode_awareness(ordered)

    def _kind(self, entry: Entry) -> int:
        if entry.state == GONE:
            return 2
        return int(entry.client in self.clocks)


@lru_cache(_RECENT_MESSAGES)
def _decoded(entries: bytes) -> list[Entry]:
    """Everybody hears the same message, which is taken apart once."""
    return decode_awareness(entries, _MOST_ENTRIES)


class Crowd:
    """Everybody, and what they sent and heard."""

    def __init__(self, address: Address, people: int, *, repeats: bool) -> None:
        self._address = address
        self._repeats = repeats and address.dialect == Dialect.Y_WEBSOCKET
        self._people = [self._join(FIRST_CLIENT_ID + number) for number in range(people)]
        self._of = {person.line.socket.fileno(): person for person in self._people}
        self._readable = select.epoll()
        for descriptor in self._of:
            self._readable.register(descriptor, select.EPOLLIN)
        self._renewals = self._repetitions = self._received_bytes = 0
        self._latest_send_s = 0.0

    def _join(self, client_id: int) -> Person:
        person = Person(client_id, Line(self._address.url))
        for message in (*self._address.greeting(), self._address.nothing()):
            person.line.send(message)
        person.line.send(self._address.awareness(person.renewed()))
        return person

    def run(self, renewals_per_s: float) -> dict[str, Any]:
        """Until told to stop, renew everybody's presence in turn, evenly over time, and hear what comes."""
        cpu_s, start_s = time.process_time(), time.monotonic()
        interval_s = 1 / (renewals_per_s * len(self._people))
        while not is_told_to_stop():
            now_s = time.monotonic()
            while start_s + self._renewals * interval_s <= now_s:
                self._latest_send_s = max(self._latest_send_s, now_s - start_s - self._renewals * interval_s)
                person = self._people[self._renewals % len(self._people)]
                person.line.send(self._address.awareness(person.renewed()))
                self._renewals += 1
            self.hear()
            time.sleep(max(0.0, now_s + TICK_S - time.monotonic()))
        wall_s = time.monotonic() - start_s
        return {
            "cpu_share": (time.process_time() - cpu_s) / wall_s,
            "renewals_per_s": self._renewals / wall_s,
            "repetitions_per_s": self._repetitions / wall_s,
            "received_mb_per_s": self._received_bytes / wall_s / 1e6,
            "latest_send_ms": 1000 * self._latest_send_s,
            "unsent_bytes": sum(person.line.unsent_bytes for person in self._people),
        }

    def hear(self) -> None:
        """Read what came, and repeat it where stock clients do."""
        for descriptor, _ in self._readable.poll(0):
            person = self._of[descriptor]
            piece = person.line.receive()
            self._received_bytes += len(piece)
            if self._repeats:
                for message in person.inbox.take(piece):
                    self._repeat(person, message)
        for person in self._people:
            if person.line.unsent_bytes:
                person.line.flush()

    def _repeat(self, person: Person, message: bytes) -> None:
        kind, rest = self._address.read(message)
        if kind == frames.AWARENESS and (entries := person.repeated(length_prefixed(rest))) is not None:
            person.line.send(self._address.awareness(entries))
            self._repetitions += 1


def main() -> None:
    asked = asked_for()
    crowd = Crowd(Address(**asked["address"]), asked["people"], repeats=asked["repeats"])
    say_ready_and_wait()
    say_done_and_report(crowd.run(asked["renewals_per_s"]))


if __name__ == "__main__":
    main()
