"""People who each open a document, edit it, wait until that is saved, and leave; a process of its own.

Some at once, all of them once each. Without an update they only look what is there.
"""

import select
import time
from collections import deque
from typing import Any

from bench.callers import Caller
from bench.dialects import NOTHING, SYNC_STATUS, Address, Dialect
from bench.processes import asked_for, say_done_and_report, say_ready_and_wait
from bench.sockets import frame
from tests.clients import frames

GIVE_UP_AFTER_S = 50
_CLOSE = 0x88
_NORMAL_CLOSURE = (1000).to_bytes(2, "big")
_SAVED = b"\x01"


class Guest(Caller):
    """One visit."""

    def __init__(self, address: Address, update: bytes) -> None:
        super().__init__(address, NOTHING)
        self._update = update
        self._statuses = self._status_of_update = 0
        self.answer_bytes = 0
        self.is_over = False

    def answered(self, size: int) -> None:
        self.answer_bytes = size
        if not self._update:
            self.is_over = True
            return
        self._status_of_update = self.nothings + 1  # a Step2 is acknowledged, too
        self.send(self._address.update(self._update))
        if self._address.dialect == Dialect.Y_WEBSOCKET:
            self.send(frames.saved(1))

    def heard(self, kind: int, rest: bytes) -> None:
        self._statuses += kind == SYNC_STATUS and rest == _SAVED
        self.is_over = self.is_over or kind == frames.SAVED or self._statuses == self._status_of_update > 0

    def leave(self) -> None:
        """Say goodbye and go."""
        self.socket.sendall(frame_of_closing())
        self.socket.close()


def frame_of_closing() -> bytes:
    """The first half of the closing handshake."""
    return frame(_NORMAL_CLOSURE, _CLOSE)


class House:
    """All visits, of which at most `at_once` are under way."""

    def __init__(self, addresses: list[Address], update: bytes, at_once: int) -> None:
        self._waiting, self._update, self._at_once = deque(addresses), update, at_once
        self._inside: dict[int, Guest] = {}
        self._readable = select.epoll()
        self.answer_bytes: list[int] = []

    def run(self) -> None:
        """Let everybody in, and wait until all have left."""
        give_up_at_s = time.monotonic() + GIVE_UP_AFTER_S
        while self._waiting or self._inside:
            assert time.monotonic() < give_up_at_s, f"{len(self._waiting) + len(self._inside)} visits are not over"
            while self._waiting and len(self._inside) < self._at_once:
                self._let_in(Guest(self._waiting.popleft(), self._update))
            for descriptor, _ in self._readable.poll(1):
                self._inside[descriptor].receive()
                if self._inside[descriptor].is_over:
                    self._let_out(descriptor)

    def _let_in(self, guest: Guest) -> None:
        self._inside[guest.socket.fileno()] = guest
        self._readable.register(guest.socket, select.EPOLLIN)

    def _let_out(self, descriptor: int) -> None:
        guest = self._inside.pop(descriptor)
        self._readable.unregister(descriptor)
        guest.leave()
        self.answer_bytes.append(guest.answer_bytes)


def visit(addresses: list[Address], update: bytes, at_once: int) -> dict[str, Any]:
    """Visit all, and return how long it took and how many bytes each was answered with."""
    cpu_s, start_s = time.process_time(), time.monotonic()
    house = House(addresses, update, at_once)
    house.run()
    wall_s = time.monotonic() - start_s
    share = (time.process_time() - cpu_s) / wall_s
    return {"wall_s": wall_s, "cpu_share": share, "answer_bytes": house.answer_bytes}


def main() -> None:
    asked = asked_for()
    dialect = Dialect(asked["dialect"])
    is_at_its_door = dialect == Dialect.Y_WEBSOCKET  # the path names the document
    documents = [Address(asked["door"] + name * is_at_its_door, name, dialect) for name in asked["documents"]]
    say_ready_and_wait()
    say_done_and_report(visit(documents, bytes.fromhex(asked["update"]), asked["at_once"]))


if __name__ == "__main__":
    main()
