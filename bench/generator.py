"""People who type into one text, a process of its own (bench/processes.py).

While the round runs it only moves bytes: frames were made before and are understood after.
"""

import json
import re
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from statistics import quantiles

from bench.dialects import Address
from bench.processes import say_ready_and_wait
from bench.sockets import frame, open_websocket
from bench.strokes import ECHO, STROKE, Traffic, question, traffic

TICK_S = 0.001
ASK_EVERY_UPDATES = 10
GIVE_UP_AFTER_S = 30
_QUIET_S = 0.5
_RECEIVE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one round looked like from outside the server."""

    deliveries: int
    expected_deliveries: int
    wall_s: float
    generator_cpu_share: float
    latest_send_ms: float
    receive_p50_ms: float
    receive_p95_ms: float
    receive_p99_ms: float
    saved_p50_ms: float | None
    saved_p99_ms: float | None


@dataclass(slots=True)
class Received:
    """What arrived on one connection: pieces of the stream and when each was read."""

    pieces: list[bytes] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)


def connect(address: Address) -> socket.socket:
    """Join a document; what the server says is read later."""
    connection = open_websocket(address.url)
    for message in (*address.greeting(), address.nothing()):
        connection.sendall(frame(message))
    return connection


class Round:
    """One load on one document."""

    def __init__(self, address: Address, load: Traffic, updates_per_s: int, *, ask_saved: bool) -> None:
        self._load = load
        self._interval_s = 1 / updates_per_s
        self._ask_saved = ask_saved
        self._sent_at_s: list[float] = []
        self._latest_send_s = 0.0
        self._sockets = [connect(address) for _ in range(load.clients)]
        self._client_of = {connection.fileno(): n for n, connection in enumerate(self._sockets)}
        self._received = [Received() for _ in self._sockets]
        self._readable = select.epoll()
        for connection in self._sockets:
            self._readable.register(connection, select.EPOLLIN)

    def run(self) -> Measurement:
        """Send everything at its time, read until it has been quiet for a while, and measure."""
        cpu_s, start_s = time.process_time(), time.monotonic()
        last_arrival_s = start_s
        while len(self._sent_at_s) < len(self._load.strokes) or time.monotonic() - last_arrival_s < _QUIET_S:
            now_s = time.monotonic()
            assert now_s - start_s < self._planned_s + GIVE_UP_AFTER_S, "the server does not keep up"
            self._send_due(now_s, start_s)
            if self._read():
                last_arrival_s = now_s
            time.sleep(max(0.0, now_s + TICK_S - time.monotonic()))
        wall_s, cpu_s = last_arrival_s - start_s, time.process_time() - cpu_s
        print("done", flush=True)
        return self._measure(wall_s, cpu_s / (time.monotonic() - start_s))

    @property
    def _planned_s(self) -> float:
        return len(self._load.strokes) * self._interval_s

    def _send_due(self, now_s: float, start_s: float) -> None:
        due = min(len(self._load.strokes), int((now_s - start_s) / self._interval_s) + 1)
        for number in range(len(self._sent_at_s), due):
            stroke = self._load.strokes[number]
            if self._asks(number):
                stroke += question(number)
            self._sent_at_s.append(time.monotonic())
            self._sockets[number % self._load.clients].sendall(stroke)
            self._latest_send_s = max(self._latest_send_s, now_s - start_s - number * self._interval_s)

    def _asks(self, number: int) -> bool:
        return self._ask_saved and (number // self._load.clients) % ASK_EVERY_UPDATES == 0

    def _read(self) -> bool:
        ready = self._readable.poll(0)
        for descriptor, _ in ready:
            client = self._client_of[descriptor]
            piece = self._sockets[client].recv(_RECEIVE_BYTES)
            assert piece, f"the server closed connection {client}"
            self._received[client].pieces.append(piece)
            self._received[client].at_s.append(time.monotonic())
        return bool(ready)

    def _measure(self, wall_s: float, generator_cpu_share: float) -> Measurement:
        receive_ms: list[float] = []
        saved_ms: list[float] = []
        for client, received in enumerate(self._received):
            arrivals = _first_arrivals(STROKE, received)
            foreign = {n: at for n, at in arrivals.items() if n % self._load.clients != client}
            receive_ms += [1000 * (at_s - self._sent_at_s[number]) for number, at_s in foreign.items()]
            echoes = _first_arrivals(ECHO, received)
            saved_ms += [1000 * (at_s - self._sent_at_s[number]) for number, at_s in echoes.items()]
        assert len(saved_ms) == sum(map(self._asks, range(len(self._load.strokes)))), "an echo is missing"
        receive_p50, receive_p95, receive_p99 = _percentiles(receive_ms)
        saved_p50, _, saved_p99 = _percentiles(saved_ms) if self._ask_saved else (None, None, None)
        return Measurement(
            deliveries=len(receive_ms),
            expected_deliveries=self._load.deliveries,
            wall_s=wall_s,
            generator_cpu_share=generator_cpu_share,
            latest_send_ms=1000 * self._latest_send_s,
            receive_p50_ms=receive_p50,
            receive_p95_ms=receive_p95,
            receive_p99_ms=receive_p99,
            saved_p50_ms=saved_p50,
            saved_p99_ms=saved_p99,
        )


def _first_arrivals(pattern: re.Pattern[bytes], received: Received) -> dict[int, float]:
    """When each number that `pattern` finds was read, in seconds of the monotonic clock."""
    ends = list(accumulate(map(len, received.pieces)))
    arrivals: dict[int, float] = {}
    piece = 0
    for match in pattern.finditer(b"".join(received.pieces)):
        while ends[piece] < match.end():
            piece += 1
        arrivals.setdefault(int(match[1]), received.at_s[piece])
    return arrivals


def _percentiles(values: list[float]) -> tuple[float, float, float]:
    """p50, p95 and p99."""
    cuts = quantiles(values, n=100)
    return cuts[49], cuts[94], cuts[98]


def main() -> None:
    asked = json.loads(sys.argv[1])
    address, updates_per_s = Address(**asked["address"]), asked["updates_per_s"]
    load = traffic(address, asked["clients"], updates_per_s * asked["seconds"], asked["padding_bytes"])
    measured = Round(address, load, updates_per_s, ask_saved=asked["ask_saved"])
    say_ready_and_wait()
    print(json.dumps(asdict(measured.run())), flush=True)


if __name__ == "__main__":
    main()
