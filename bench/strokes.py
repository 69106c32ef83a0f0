"""The traffic of a round, made before it starts: who sends which bytes, in which order.

Every client appends to one shared text; a stroke is `#` and its number in seven digits, so that a
receiver finds it in the raw stream however the server merged updates into frames.
"""

import re
from dataclasses import dataclass

from pycrdt import Doc, Text, TransactionEvent

from tests.clients import frames

STROKE = re.compile(rb"#(\d{7})")
ECHO = re.compile(rb"f@(\d{7})")  # `f` is 102, the message that is echoed once all before it is committed

_FIN_BINARY = 0x82
_MASKED = 0x80
_NO_MASK = bytes(4)  # RFC 6455 5.3: a client must mask, and a key of zeros leaves the bytes as they are
_LONGEST_SHORT_FRAME_BYTES = 125
_FIRST_CLIENT_ID = 1000


@dataclass(frozen=True, slots=True)
class Traffic:
    """Stroke number n is sent by client n modulo `clients`."""

    clients: int
    strokes: list[bytes]

    @property
    def deliveries(self) -> int:
        """How many updates have to reach a client that did not make them."""
        return len(self.strokes) * (self.clients - 1)


def frame(message: bytes) -> bytes:
    """One masked websocket frame of a client."""
    assert len(message) <= _LONGEST_SHORT_FRAME_BYTES, "strokes are short"
    return bytes((_FIN_BINARY, _MASKED | len(message))) + _NO_MASK + message


def question(number: int) -> bytes:
    """Ask whether stroke `number` is saved."""
    return frame(frames.varuint(frames.SAVED) + b"@%07d" % number)


def greeting() -> bytes:
    """Ask for everything, and say that there is nothing to give."""
    nothing, no_update = b"\x00", b"\x00\x00"
    return frame(frames.sync(frames.STEP1, nothing)) + frame(frames.sync(frames.STEP2, no_update))


def traffic(clients: int, updates: int) -> Traffic:
    """Make `updates` strokes, round robin over `clients` documents that know nothing of each other."""
    updates_of: list[list[bytes]] = [[] for _ in range(clients)]
    for client in range(clients):
        updates_of[client] = _strokes_of_one(client, range(client, updates, clients))
    return Traffic(
        clients,
        [
            frame(frames.sync(frames.UPDATE, updates_of[number % clients][number // clients]))
            for number in range(updates)
        ],
    )


def _strokes_of_one(client: int, numbers: range) -> list[bytes]:
    doc: Doc[Text] = Doc(client_id=_FIRST_CLIENT_ID + client)
    text = doc.get("text", type=Text)
    made: list[bytes] = []

    def record(event: TransactionEvent) -> None:
        made.append(event.update)

    subscription = doc.observe(record)
    for number in numbers:
        text += f"#{number:07d}"
    doc.unobserve(subscription)
    return made
