"""One person who makes small edits, and observers who note when they see them and how old everybody's presence is.

A process of its own, so that no load is in its way; it reports how long its own loop kept anything waiting.
"""

import json
import select
import time
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from bench.dialects import Address, length_prefixed
from bench.processes import asked_for, say_done_and_report, say_ready_and_wait
from bench.sockets import Inbox, Line
from bench.strokes import STROKE, strokes_of
from collab.wire.awareness import GONE, decode_awareness
from tests.clients import frames

LOOK_EVERY_S = 0.1
_WRITER_ID = 900
_MOST_ENTRIES = 10_000
_LINGER_S = 5.0
"""How long the last edit may take."""

_LONGEST_POLL_S = 0.01

_PERCENTILES = {"p50": 49, "p95": 94, "p99": 98}


@dataclass(slots=True)
class Observer:
    """One client that only looks: when each edit came, and the newest time each watched person showed."""

    line: Line
    inbox: Inbox = field(default_factory=Inbox)
    seen_at_s: dict[int, float] = field(default_factory=dict)
    shown_ms: dict[int, int] = field(default_factory=dict)
    received_bytes: int = 0


class Probe:
    """The person, the observers and what they measure."""

    def __init__(self, address: Address, observers: int, watched: list[int]) -> None:
        self._address, self._watched = address, frozenset(watched)
        self._writer = self._join()
        self._observers = [Observer(self._join()) for _ in range(observers)]
        self._of = {observer.line.socket.fileno(): observer for observer in self._observers}
        self._readable = select.epoll()
        for line in (self._writer, *(observer.line for observer in self._observers)):
            self._readable.register(line.socket.fileno(), select.EPOLLIN)
        self._sent_at_s: list[float] = []
        self._ages_ms: list[float] = []
        self._turns_ms: list[float] = []

    def _join(self) -> Line:
        line = Line(self._address.url)
        for message in (*self._address.greeting(), self._address.nothing()):
            line.send(message)
        return line

    def listen(self, seconds: float) -> None:
        """Hear what the server says for a while."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._hear(left_s)

    def run(self, edits_per_s: float, seconds: float) -> dict[str, Any]:
        """Edit at a rate until `seconds` are over and every observer has seen the last edit, or will not."""
        updates = strokes_of(_WRITER_ID, range(round(edits_per_s * seconds)))
        cpu_s, start_s = time.process_time(), time.monotonic()
        received = sum(observer.received_bytes for observer in self._observers)
        look_s = start_s
        while (now_s := time.monotonic()) - start_s < seconds or self._waits_for_more(now_s - start_s - seconds):
            if len(self._sent_at_s) < len(updates) and now_s >= start_s + len(self._sent_at_s) / edits_per_s:
                self._writer.send(self._address.update(updates[len(self._sent_at_s)]))
                self._sent_at_s.append(now_s)
            is_over = len(self._sent_at_s) == len(updates)
            wait_s = _LONGEST_POLL_S if is_over else start_s + len(self._sent_at_s) / edits_per_s - now_s
            if now_s >= look_s and now_s - start_s < seconds:
                self._look(now_s)
                look_s = now_s + LOOK_EVERY_S
            self._hear(min(max(0.0, wait_s), _LONGEST_POLL_S))
        wall_s = time.monotonic() - start_s
        received = sum(observer.received_bytes for observer in self._observers) - received
        return self._measured() | {
            "cpu_share": (time.process_time() - cpu_s) / wall_s,
            "observer_mb_per_s": received / len(self._observers) / wall_s / 1e6,
        }

    def _waits_for_more(self, over_s: float) -> bool:
        missing = any(len(observer.seen_at_s) < len(self._sent_at_s) for observer in self._observers)
        return missing and over_s < _LINGER_S

    def _hear(self, wait_s: float) -> None:
        ready = self._readable.poll(wait_s)
        now_s = time.monotonic()
        for descriptor, _ in ready:
            if descriptor == self._writer.socket.fileno():
                self._writer.receive()
            else:
                self._observe(self._of[descriptor], now_s)
        self._writer.flush()
        self._turns_ms.append(1000 * (time.monotonic() - now_s))

    def _observe(self, observer: Observer, now_s: float) -> None:
        piece = observer.line.receive()
        observer.received_bytes += len(piece)
        for message in observer.inbox.take(piece):
            kind, rest = self._address.read(message)
            if kind == frames.SYNC:
                for match in STROKE.finditer(rest):
                    observer.seen_at_s.setdefault(int(match[1]), now_s)
            elif kind == frames.AWARENESS and self._watched:
                self._note_presence(observer, length_prefixed(rest))

    def _note_presence(self, observer: Observer, entries: bytes) -> None:
        for entry in decode_awareness(entries, _MOST_ENTRIES):
            if entry.client in self._watched and entry.state != GONE:
                observer.shown_ms[entry.client] = json.loads(entry.state)["cursor"]["x"]

    def _look(self, now_s: float) -> None:
        for observer in self._observers:
            self._ages_ms += [1000 * now_s - shown_ms for shown_ms in observer.shown_ms.values()]

    def _measured(self) -> dict[str, Any]:
        """An edit that was not seen counts with how long it has been waited for."""
        end_s = time.monotonic()
        latencies_ms = [
            1000 * (observer.seen_at_s.get(number, end_s) - sent_at_s)
            for observer in self._observers
            for number, sent_at_s in enumerate(self._sent_at_s)
        ]
        seen = sum(len(observer.seen_at_s) for observer in self._observers)
        return {
            "edits": len(self._sent_at_s),
            "seen_share": seen / len(latencies_ms),
            "edit_ms": _spread(latencies_ms),
            "presence_age_ms": _spread(self._ages_ms) if self._watched else None,
            "turn_ms": _spread(self._turns_ms),
            "watched_seen": min(len(observer.shown_ms) for observer in self._observers),
        }


def _spread(values: list[float]) -> dict[str, float] | None:
    """Percentiles and the largest; None of fewer than two values."""
    if len(values) < 2:
        return None
    cuts = quantiles(values, n=100, method="inclusive")
    return {name: cuts[index] for name, index in _PERCENTILES.items()} | {"max": max(values)}


def main() -> None:
    asked = asked_for()
    probe = Probe(Address(**asked["address"]), asked["observers"], asked.get("watched", []))
    probe.listen(asked.get("settles_s", 0.5))
    say_ready_and_wait()
    say_done_and_report(probe.run(asked["edits_per_s"], asked["seconds"]))


if __name__ == "__main__":
    main()
