"""A room's live document: pycrdt behind the walk, and what is known of it without asking yrs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pycrdt import Doc, TransactionEvent

from collab.nesting import Nesting
from collab.wire.errors import MalformedError
from collab.wire.state_vector import StateVector, decode_state_vector, encode_state_vector
from collab.wire.update import Item, Shape, walk


class PoisonedDocumentError(Exception):
    """yrs failed inside the document: it cannot be trusted any more and must be loaded again."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"the document failed inside yrs: {cause}")


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying one update did.

    `change` is the update that others need, None if nothing changed. `before` tells where each
    client that it advances was. `is_integrated` is False while the update, or a part of it,
    waits for one it depends on.
    """

    shape: Shape
    change: bytes | None
    before: StateVector
    is_integrated: bool


class LiveDocument:
    """One graph's document and its state vector."""

    def __init__(self) -> None:
        self.doc: Doc[Any] = Doc()
        self.state_vector: StateVector = {}
        self.is_waiting = False
        """Whether updates were applied that wait for others; the room tells."""
        self._emitted: bytes | None = None
        self._nesting: Nesting | None = None
        self._whole: bytes | None = None
        self._subscription = self.doc.observe(self._on_change)

    def load(self, updates: Sequence[bytes]) -> None:
        """Apply stored updates, which were walked when they came in; `state_vector` follows in `loaded`."""
        with self.doc.transaction():
            for update in updates:
                self.doc.apply_update(update)

    def loaded(self) -> None:
        """Finish loading: the state vector is that of the document."""
        self._emitted = None
        self.state_vector = decode_state_vector(self.doc.get_state())

    def apply(self, update: bytes) -> Applied:
        """Walk and apply one update from a client.

        Raises MalformedError if it may not touch the document (nothing changed) and
        PoisonedDocumentError if yrs failed on it in spite of the walk.
        """
        shape = walk(update)
        self._check_nesting(update, shape)
        change = self._apply(update)
        before = self._advance(change, update, shape) if change is not None else {}
        return Applied(shape, change, before, self.covers(shape))

    def covers(self, shape: Shape) -> bool:
        """Return whether every struct end and delete end of `shape` is within the document."""
        known = self.state_vector
        return all(known.get(client, 0) >= end for client, end in shape.struct_ends.items()) and all(
            known.get(client, 0) >= end for client, end in shape.delete_ends.items()
        )

    def encoded_state_vector(self) -> bytes:
        """Return the state vector as it goes into a Step1."""
        return encode_state_vector(self.state_vector)

    def difference(self, known: StateVector) -> bytes:
        """Return what someone who knows `known` lacks, every deletion included."""
        if known:
            return self.doc.get_update(encode_state_vector(known))
        if self._whole is None:
            self._whole = self.doc.get_update()
        return self._whole

    def _on_change(self, event: TransactionEvent) -> None:
        self._emitted = event.update

    def _apply(self, update: bytes) -> bytes | None:
        self._emitted = None
        try:
            self.doc.apply_update(update)
        except ValueError as error:
            raise MalformedError(f"yrs refuses the update: {error}") from None
        except BaseException as error:
            # A Rust panic reaches Python as a BaseException of its own.
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise PoisonedDocumentError(error) from error
        if self._emitted is not None:
            self._whole = None
        return self._emitted

    def _advance(self, change: bytes, update: bytes, shape: Shape) -> StateVector:
        """Bring the state vector up to date; return where each client it advanced was before."""
        # A change that differs from the update (parts of it were known) needs a walk of its own.
        done = shape if change == update else walk(change)
        if self.is_waiting or done.has_gaps or not self._follows(done):
            # yrs integrates structs beyond a gap, and then what fills the gap advances over both.
            now = decode_state_vector(self.doc.get_state())
            ends = {client: end for client, end in now.items() if self.state_vector.get(client, 0) != end}
        else:
            ends = done.struct_ends
        before = {client: self.state_vector.get(client, 0) for client in ends}
        self.state_vector.update(ends)
        return before

    def _follows(self, shape: Shape) -> bool:
        known = self.state_vector
        return all(known.get(client, 0) >= start for client, start in shape.struct_starts.items())

    def _check_nesting(self, update: bytes, shape: Shape) -> None:
        if self._nesting is None:
            if not shape.has_nested_types:
                return
            self._nesting = Nesting()
            self._nesting.place(_items(self.difference({})))
        self._nesting.place(_items(update))


def _items(update: bytes) -> list[Item]:
    items: list[Item] = []
    walk(update, items)
    return items
