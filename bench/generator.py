"""People who write, and others who look on, in one document or many; a process of its own (bench/processes.py).

While the round runs it only moves bytes: frames were made before and are understood after.
"""

import gc
import json
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from statistics import quantiles

from bench.arrivals import Arrived, Reader, Received, Sent, arrived
from bench.dialects import Address, Dialect
from bench.processes import asked_for, say_ready_and_wait
from bench.sockets import frame, open_websocket
from bench.traffic import Written, founded, written
from tests.clients import frames

TICK_S = 0.001
ASK_EVERY_UPDATES = 10
_QUIET_S = 1.0
_SETTLES_WITHIN_S = 45
_RESTS_S = 3.0
"""For what a server does behind new documents, such as storing them: rounds measure people who go on editing."""

_RECEIVE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Load:
    """What a round does; the counts of clients are those of each document."""

    addresses: list[Address]
    writers: int
    updates_per_s: int
    """Of all documents together."""
    seconds: float
    observers: int = 0
    kind: str = "graph"
    padding_bytes: int = 0
    ask_saved: bool = False
    last_within_s: float = 30
    """How long after the last update was sent all may take to arrive."""

    @property
    def updates(self) -> int:
        """Of all documents together, the same number for each."""
        documents = len(self.addresses)
        return round(self.updates_per_s * self.seconds) // documents * documents

    @property
    def expected_deliveries(self) -> int:
        """How many updates have to reach a client that did not make them."""
        return self.updates * (self.writers - 1 + self.observers)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one round looked like from outside the server."""

    updates: int
    deliveries: int
    expected_deliveries: int
    wall_s: float
    generator_cpu_share: float
    latest_send_ms: float
    received_bytes_per_client: float
    receive_p50_ms: float
    receive_p95_ms: float
    receive_p99_ms: float
    saved_p50_ms: float | None
    saved_p95_ms: float | None
    saved_p99_ms: float | None


@dataclass(slots=True)
class Client:
    """One connection to a document; an observer writes nothing."""

    address: Address
    connection: socket.socket
    written: Written | None
    received: Received = field(default_factory=Received)
    sent_at_s: list[float] = field(default_factory=list)

    def send(self, message: bytes) -> None:
        """Send frames; the kernel holds far more of them than a server that keeps up leaves there."""
        taken = self.connection.send(message)
        assert taken == len(message), "the server does not keep up: it reads no more"

    def read(self) -> None:
        """Keep what is there."""
        piece = self.connection.recv(_RECEIVE_BYTES)
        assert piece, "the server closed a connection"
        self.received.pieces.append(piece)
        self.received.at_s.append(time.monotonic())


def join(address: Address, written: Written | None) -> Client:
    """Join a document; what the server says is read later."""
    client = Client(address, open_websocket(address.url), written)
    client.connection.setblocking(False)
    for message in (*address.greeting(), address.nothing()):
        client.send(frame(message))
    return client


class Round:
    """One load, with everybody joined and everything that is to be sent ready as frames, in the order of sending."""

    def __init__(self, load: Load) -> None:
        self._load = load
        authors = written(load.kind, load.writers, load.updates // len(load.addresses), load.padding_bytes)
        of_documents = [self._join_all(address, authors) for address in load.addresses]
        self._clients = [client for of_document in of_documents for client in of_document]
        self._outgoing = self._dealt([of_document[: load.writers] for of_document in of_documents])
        self._client_of = {client.connection.fileno(): client for client in self._clients}
        self._readable = select.epoll()
        for descriptor in self._client_of:
            self._readable.register(descriptor, select.EPOLLIN)
        self._latest_send_s = 0.0

    def _join_all(self, address: Address, authors: list[Written]) -> list[Client]:
        first = join(address, authors[0])
        first.send(frame(address.update(founded(self._load.kind))))
        others = [join(address, author) for author in authors[1:]]
        return [first, *others, *(join(address, None) for _ in range(self._load.observers))]

    def _dealt(self, writers_of: list[list[Client]]) -> list[tuple[Client, bytes]]:
        """Update n goes to document n modulo their number, and there to one writer after the other."""
        documents, writers = len(writers_of), self._load.writers
        return [
            self._prepared(writers_of[n % documents][n // documents % writers], n // documents // writers)
            for n in range(self._load.updates)
        ]

    def _prepared(self, client: Client, number: int) -> tuple[Client, bytes]:
        assert client.written is not None
        message = frame(client.address.update(client.written.updates[number]))
        asks = self._asks(client.address) and number % ASK_EVERY_UPDATES == 0
        return client, message + frame(frames.saved(number)) if asks else message

    def _asks(self, address: Address) -> bool:
        return self._load.ask_saved and address.dialect == Dialect.Y_WEBSOCKET

    def settle(self) -> None:
        """Read until everybody has heard of the document and it has been quiet for a while; forget what was said."""
        start_s = last_arrival_s = time.monotonic()
        while time.monotonic() - last_arrival_s < _QUIET_S or not all(one.received.pieces for one in self._clients):
            assert time.monotonic() - start_s < _SETTLES_WITHIN_S, "the server does not let everybody join"
            if self._read(_QUIET_S / 10):
                last_arrival_s = time.monotonic()
        time.sleep(_RESTS_S)
        for client in self._clients:
            client.received = Received()

    def run(self) -> Measurement:
        """Send everything at its time, read until it has been quiet for a while, and measure."""
        gc.disable()
        cpu_s, start_s = time.process_time(), time.monotonic()
        last_arrival_s, next_number = start_s, 0
        end_s = start_s + self._load.seconds
        while next_number < len(self._outgoing) or time.monotonic() - last_arrival_s < _QUIET_S:
            now_s = time.monotonic()
            assert now_s < end_s + self._load.last_within_s, "the server does not keep up"
            next_number = self._send_due(next_number, now_s, start_s)
            if self._read(0):
                last_arrival_s = now_s
            time.sleep(max(0.0, now_s + TICK_S - time.monotonic()))
        cpu_share = (time.process_time() - cpu_s) / (time.monotonic() - start_s)
        print("done", flush=True)
        return self._measure(last_arrival_s - start_s, cpu_share)

    def _send_due(self, next_number: int, now_s: float, start_s: float) -> int:
        due = min(len(self._outgoing), int((now_s - start_s) * self._load.updates_per_s) + 1)
        if due > next_number:
            planned_s = start_s + next_number / self._load.updates_per_s
            self._latest_send_s = max(self._latest_send_s, now_s - planned_s)
        for client, message in self._outgoing[next_number:due]:
            client.sent_at_s.append(time.monotonic())
            client.send(message)
        return due

    def _read(self, wait_s: float) -> bool:
        ready = self._readable.poll(wait_s)
        for descriptor, _ in ready:
            self._client_of[descriptor].read()
        return bool(ready)

    def _measure(self, wall_s: float, cpu_share: float) -> Measurement:
        reader = Reader()
        delays_s: list[float] = []
        saved_s: list[float] = []
        sent = self._sent()
        for client in self._clients:
            others = sent[client.address.document]
            own = None if client.written is None else client.written.author
            of_others = {author: of for author, of in others.items() if author != own}
            found = arrived(reader.read(client.address, client.received), of_others)
            delays_s += found.delays_s
            saved_s += self._saved(client, found)
        return self._measurement(delays_s, saved_s, wall_s, cpu_share)

    def _measurement(self, delays_s: list[float], saved_s: list[float], wall_s: float, cpu_share: float) -> Measurement:
        received = sum(len(piece) for client in self._clients for piece in client.received.pieces)
        saved = _percentiles_ms(saved_s) if saved_s else (None, None, None)
        return Measurement(
            self._load.updates,
            len(delays_s),
            self._load.expected_deliveries,
            wall_s,
            cpu_share,
            1_000 * self._latest_send_s,
            received / len(self._clients),
            *_percentiles_ms(delays_s),
            *saved,
        )

    def _sent(self) -> dict[str, dict[int, Sent]]:
        """What was sent, by document and author."""
        sent: dict[str, dict[int, Sent]] = {address.document: {} for address in self._load.addresses}
        for client in self._clients:
            if client.written is not None:
                author = client.written.author
                sent[client.address.document][author] = Sent(client.written.ends, client.sent_at_s)
        return sent

    def _saved(self, client: Client, found: Arrived) -> list[float]:
        """From the sending of an update to the word that it is saved, by echoes or by one SyncStatus for each."""
        if not self._load.ask_saved or client.written is None:
            return []
        if self._asks(client.address):
            asked = range(0, len(client.sent_at_s), ASK_EVERY_UPDATES)
            assert len(found.echoes) == len(asked), "an echo is missing"
            return [at_s - client.sent_at_s[number] for number, at_s in found.echoes.items()]
        assert len(found.statuses_at_s) == len(client.sent_at_s), "a SyncStatus is missing"
        return [at_s - sent_s for at_s, sent_s in zip(found.statuses_at_s, client.sent_at_s, strict=True)]


def _percentiles_ms(values_s: list[float]) -> tuple[float, float, float]:
    """p50, p95 and p99."""
    cuts = quantiles(values_s, n=100)
    return 1_000 * cuts[49], 1_000 * cuts[94], 1_000 * cuts[98]


def main() -> None:
    asked = asked_for()
    addresses = [Address(**address) for address in asked.pop("addresses")]
    try:
        prepared = Round(Load(addresses, **asked))
        prepared.settle()
        say_ready_and_wait()
        print(json.dumps(asdict(prepared.run())), flush=True)
    except AssertionError as problem:
        sys.exit(f"the round does not count: {problem}")


if __name__ == "__main__":
    main()
