"""The traffic of a round, made before it starts: who sends which bytes, in which order.

Every client appends to one shared text; a stroke is `#` and its number in seven digits, so that a
receiver finds it in the raw stream however the server merged updates into frames.
"""

import re
from dataclasses import dataclass

from pycrdt import Doc, Text, TransactionEvent

from bench.dialects import Address
from bench.sockets import frame
from tests.clients import frames

STROKE = re.compile(rb"#(\d{7})")
ECHO = re.compile(rb"f@(\d{7})")  # `f` is 102, the message that is echoed once all before it is committed

_FIRST_CLIENT_ID = 1000
_STROKE_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Traffic:
    """Stroke number n is sent by client n modulo `clients`."""

    clients: int
    strokes: list[bytes]

    @property
    def deliveries(self) -> int:
        """How many updates have to reach a client that did not make them."""
        return len(self.strokes) * (self.clients - 1)


def question(number: int) -> bytes:
    """Ask whether stroke `number` is saved."""
    return frame(frames.varuint(frames.SAVED) + b"@%07d" % number)


def traffic(address: Address, clients: int, updates: int, padding_bytes: int) -> Traffic:
    """Make `updates` strokes, round robin over `clients` documents that know nothing of each other."""
    updates_of = [
        strokes_of(_FIRST_CLIENT_ID + client, range(client, updates, clients), padding_bytes)
        for client in range(clients)
    ]
    return Traffic(
        clients, [frame(address.update(updates_of[number % clients][number // clients])) for number in range(updates)]
    )


def strokes_of(client_id: int, numbers: range, padding_bytes: int = 0) -> list[bytes]:
    """The updates of one client that appends strokes `numbers`, each with padding, to the text."""
    doc: Doc[Text] = Doc(client_id=client_id)
    text = doc.get("text", type=Text)
    made: list[bytes] = []

    def record(event: TransactionEvent) -> None:
        made.append(event.update)

    subscription = doc.observe(record)
    padding, length = "." * padding_bytes, 0
    for number in numbers:
        text.insert(length, f"#{number:07d}{padding}")
        length += _STROKE_CHARACTERS + padding_bytes
    doc.unobserve(subscription)
    return made
