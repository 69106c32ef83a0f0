"""Edits that the server makes in a copy of a document, recorded as the updates that make them anywhere. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from pycrdt import Decoder, Doc, TransactionEvent

from persistence.document import DocumentUpdate

MAX_CLIENT_ID = 2**16 - 1
"""The server writes with ids up to here, so that in a true conflict the concurrent edit of a person wins."""


class Recorder:
    """A document whose every transaction becomes one update, written by the Yjs client `client_id`."""

    def __init__(self, document: bytes, client_id: int) -> None:
        self.doc: Doc[Any] = Doc(client_id=client_id)
        self.doc.apply_update(document)
        self.updates: list[DocumentUpdate] = []
        self._client_id = client_id

    @contextmanager
    def transaction(self, entities: int) -> Iterator[None]:
        """Record what the block changes, in so many entities, as one update."""
        events: list[TransactionEvent] = []
        subscription = self.doc.observe(events.append)
        with self.doc.transaction():
            yield
        self.doc.unobserve(subscription)
        clock = clocks(self.doc.get_state()).get(self._client_id)
        vector_clock = orjson.dumps({} if clock is None else {str(self._client_id): clock}).decode()
        self.updates += [DocumentUpdate(event.update, self._client_id, vector_clock, entities) for event in events]


def clocks(state: bytes) -> dict[int, int]:
    """Return the clock of each client in an encoded state vector (yjs/src/utils/encoding.js)."""
    decoder = Decoder(state)
    return {decoder.read_var_uint(): decoder.read_var_uint() for _ in range(decoder.read_var_uint())}


def unused_client_id(state: bytes) -> int:
    """Return the lowest id that no client of the encoded state vector has.

    Raises ValueError if there is none below 2^16, which needs as many edits of a server.
    """
    used = clocks(state)
    for client_id in range(1, MAX_CLIENT_ID + 1):
        if client_id not in used:
            return client_id
    raise ValueError("the document has no client id left for the server to write with")
