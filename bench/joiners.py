"""People who join one document at the same moment, as stock clients do; a process of its own (bench/processes.py).

Each asks for what it lacks, answers the server's question with nothing, and notes when it has the whole answer.
"""

import select
import time
from statistics import median
from typing import Any

from bench.callers import Caller
from bench.dialects import Address
from bench.processes import asked_for, say_done_and_report, say_ready_and_wait

GIVE_UP_AFTER_S = 50


class Joiner(Caller):
    """One of them; `took_s` is None until it has an answer of at least the expected size."""

    def __init__(self, address: Address, state_vector: bytes, at_least_bytes: int) -> None:
        super().__init__(address, state_vector)
        self._at_least_bytes = at_least_bytes
        self.took_s: float | None = None

    def answered(self, size: int) -> None:
        if size >= self._at_least_bytes:
            self.took_s = time.monotonic() - self.began_s


def join(address: Address, joiners: int, state_vector: bytes, at_least_bytes: int) -> dict[str, Any]:
    """Let all join at once, and wait until all have their answers."""
    cpu_s, start_s = time.process_time(), time.monotonic()
    people = [Joiner(address, state_vector, at_least_bytes) for _ in range(joiners)]
    waiting = {joiner.socket.fileno(): joiner for joiner in people}
    readable = select.epoll()
    for descriptor in waiting:
        readable.register(descriptor, select.EPOLLIN)
    while waiting:
        assert time.monotonic() - start_s < GIVE_UP_AFTER_S, f"{len(waiting)} joiners still wait for the document"
        for descriptor, _ in readable.poll(1):
            waiting[descriptor].receive()
            if waiting[descriptor].took_s is not None:
                readable.unregister(descriptor)
                del waiting[descriptor]
    wall_s, cpu_s = time.monotonic() - start_s, time.process_time() - cpu_s
    took_s = [joiner.took_s for joiner in people if joiner.took_s is not None]
    return {
        "slowest_ms": 1000 * max(took_s),
        "median_ms": 1000 * median(took_s),
        "received_bytes_per_client": sum(joiner.received_bytes for joiner in people) / joiners,
        "cpu_share": cpu_s / wall_s,
    }


def main() -> None:
    asked = asked_for()
    say_ready_and_wait()
    report = join(
        Address(**asked["address"]), asked["joiners"], bytes.fromhex(asked["state_vector"]), asked["at_least_bytes"]
    )
    say_done_and_report(report)


if __name__ == "__main__":
    main()
