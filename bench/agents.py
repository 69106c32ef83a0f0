"""Agents that push large updates as fast as their sockets take them; a process that the scenarios of fairness start."""

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from pycrdt import Doc, Map

from bench.dialects import Address, text
from bench.processes import asked_for, is_told_to_stop, say_done_and_report, say_ready_and_wait
from bench.sockets import Line
from tests.clients.frames import varuint

UPDATE_BYTES = 300_000
_NODES_PER_UPDATE = 2_850  # of about 105 bytes each
_AGENTS_AT_MOST = 100
_TICK_S = 0.001
_FIRST_TEXT_ID = 2_000
_FIRST_NODES_ID = 0x5A5A5A5A  # this and those after it take five bytes each
_PLACE = "@@@@@@@@"

# Yjs v1 encoding of an update (yjs UpdateEncoder.js, Item.js)
_ONE_STRUCT, _NO_DELETIONS = b"\x01\x01", b"\x00"
_STRING, _HAS_ORIGIN, _IN_A_ROOT = 4, 0x80, 1


def texts(agent: int) -> Iterator[bytes]:
    """One insertion of 300 KB after the other, each at the end of a text of the agent's own."""
    client, content = varuint(_FIRST_TEXT_ID + agent), text("x" * UPDATE_BYTES)
    yield (
        _ONE_STRUCT + client + b"\x00" + bytes((_STRING, _IN_A_ROOT)) + text(f"agent {agent}") + content + _NO_DELETIONS
    )
    for clock in count(UPDATE_BYTES, UPDATE_BYTES):
        after = bytes((_STRING | _HAS_ORIGIN,)) + client + varuint(clock - 1)
        yield _ONE_STRUCT + client + varuint(clock) + after + content + _NO_DELETIONS


def nodes(agent: int) -> Iterator[bytes]:
    """One import of 300 KB of new nodes after the other, each by a Yjs client of its own.

    Only ids and keys differ, so they are put into one update's bytes.
    """
    template, place = _nodes_template(), varuint(_FIRST_NODES_ID)
    for number in count():
        of_all = number * _AGENTS_AT_MOST + agent
        yield template.replace(place, varuint(_FIRST_NODES_ID + of_all)).replace(_PLACE.encode(), b"%08d" % of_all)


def _nodes_template() -> bytes:
    doc: Doc[Any] = Doc(client_id=_FIRST_NODES_ID)
    shown = doc.get("nodes", type=Map)
    with doc.transaction():
        for number in range(_NODES_PER_UPDATE):
            shown[f"n{_PLACE}-{number}"] = Map({"label": f"Node number {number}", "layer": "imported", "weight": 1})
    return doc.get_update()


KINDS: dict[str, Callable[[int], Iterator[bytes]]] = {"text": texts, "nodes": nodes}


class Agents:
    """All agents, each with its connection and its next updates."""

    def __init__(self, address: Address, agents: int, kind: str) -> None:
        self._address = address
        self._lines = [Line(address.url) for _ in range(agents)]
        self._updates = [KINDS[kind](agent) for agent in range(agents)]
        self._pushed = self._received_bytes = 0
        for line in self._lines:
            for message in (*address.greeting(), address.nothing()):
                line.send(message)

    def run(self) -> dict[str, Any]:
        """Push and read without pause, until told to stop."""
        cpu_s, start_s = time.process_time(), time.monotonic()
        while not is_told_to_stop():
            now_s = time.monotonic()
            for line, updates in zip(self._lines, self._updates, strict=True):
                self._received_bytes += len(line.receive())
                line.flush()
                if not line.unsent_bytes:
                    line.send(self._address.update(next(updates)))
                    self._pushed += 1
            time.sleep(max(0.0, now_s + _TICK_S - time.monotonic()))
        wall_s = time.monotonic() - start_s
        return {
            "cpu_share": (time.process_time() - cpu_s) / wall_s,
            "updates_per_s": self._pushed / wall_s,
            "received_mb_per_s": self._received_bytes / wall_s / 1e6,
        }


def main() -> None:
    asked = asked_for()
    agents = Agents(Address(**asked["address"]), asked["agents"], asked["kind"])
    say_ready_and_wait()
    say_done_and_report(agents.run())


if __name__ == "__main__":
    main()
