"""A room's live document: pycrdt behind the walk, and what is known of it without asking yrs.

yrs is never handed an update that waits for another: its own way of keeping such updates aside
has been seen to bring the process down, and it hides what became of them.
"""

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

from pycrdt import Doc

from collab.footprint import BYTES_PER_BYTE, BYTES_PER_CLIENT, footprint_bytes
from collab.nesting import Nesting
from collab.wire.deletions import Ranges, covers, deleted_ranges
from collab.wire.errors import MalformedError, TooLargeError
from collab.wire.state_vector import StateVector, decode_state_vector, encode_state_vector
from collab.wire.update import Item, Shape, walk

MAX_CLIENTS = 200_000
"""From so many Yjs client ids on a document takes in no further one; each tab that edits has a new one.

pycrdt goes through all of them with every edit. Measured: 0.01 ms at 10 clients, 0.2 ms at 10,000, 9 ms at 200,000.
"""

_SMALL_BYTES = 4096
"""Up to this size an update is not looked into for how much memory it takes."""

_WALK_INSTEAD_BYTES = 16
"""Measured: a change of so many bytes is walked in the time in which one client's clock is asked for."""

NOTHING = b"\x00\x00"
"""The update without structs and deletions: what a client answers that has nothing to give."""

_MEMORY_LEAST = 4096
"""Measured: an empty document and its room."""


class PoisonedDocumentError(Exception):
    """yrs failed inside the document: it cannot be trusted any more and must be loaded again.

    `update` is the one it failed on, None if that is not known.
    """

    def __init__(self, update: bytes | None, cause: object) -> None:
        super().__init__(f"the document failed inside yrs: {cause}")
        self.update = update


class Missing(NamedTuple):
    """What an update waits for: the structs of `client` up to `clock`."""

    client: int
    clock: int


class Applied(NamedTuple):
    """What applying one update did.

    `change` is the update that others need, None if nothing changed. `before` tells where each
    client that it advanced was.
    """

    change: bytes | None
    before: StateVector


class LiveDocument:
    """One graph's document and its state vector."""

    def __init__(self) -> None:
        self.doc: Doc[Any] = Doc()
        self.state_vector: StateVector = {}
        self._measured_bytes = 0
        self.unmeasured_bytes = 0
        """What was applied since the encoded state was last measured, merged or not."""
        self._footprint_bytes = 0
        self._emitted: list[bytes] = []
        self._nesting: Nesting | None = None
        self._whole: bytes | None = None
        self._deleted: Ranges | None = None
        self._observe()

    def load(self, updates: Sequence[bytes]) -> None:
        """Apply compacted states, which were checked when they were made and wait for nothing.

        Raises PoisonedDocumentError if the document cannot be made of them.
        """
        try:
            with self.doc.transaction():
                for update in updates:
                    self.doc.apply_update(update)
            self.state_vector = decode_state_vector(self.doc.get_state())
        except BaseException as error:
            raise _poisoned(None, error) from error
        self._emitted.clear()
        self._whole = self._deleted = self._nesting = None
        for update in updates:
            self._count(update)

    @property
    def memory_bytes(self) -> int:
        """About how much memory the document takes, or more: what was deleted and what merged since counts along."""
        return _MEMORY_LEAST + self._footprint_bytes + BYTES_PER_CLIENT * len(self.state_vector)

    @property
    def is_worth_measuring(self) -> bool:
        """Whether it may have grown by half since: measuring a document that grows takes a share of the time."""
        return self.unmeasured_bytes > self._measured_bytes // 2

    def measure(self) -> None:
        """Make `memory_bytes` as exact as it can be. Raises PoisonedDocumentError if yrs fails."""
        self.difference({})

    def check_size(self, update: bytes, shape: Shape, limit_bytes: int) -> None:
        """Raise TooLargeError if `update` would make the encoded document larger; deletions never do.

        Raises PoisonedDocumentError if yrs fails.
        """
        if self._size_bytes(update) > limit_bytes and self.lacks(shape):
            if self.unmeasured_bytes:
                self.measure()
            if self._size_bytes(update) > limit_bytes:
                raise TooLargeError("a document", self._size_bytes(update), limit_bytes)

    def check_clients(self, shape: Shape) -> None:
        """Raise TooLargeError if an update of this `shape` would bring the document more clients than MAX_CLIENTS.

        What it knows already is always taken, however many clients that is of.
        """
        known = self.state_vector
        new = [client for client in shape.struct_ends if client not in known]
        if new and (clients := len(known) + len(new)) > MAX_CLIENTS:
            raise TooLargeError("a document", clients, MAX_CLIENTS, "clients")

    def known_of(self, state_vector: bytes) -> StateVector:
        """Return what of the document someone with this encoded state vector knows.

        Raises MalformedError if it is none, TooLargeError if it has more clients than a document may.
        """
        known = self.state_vector
        claimed = decode_state_vector(state_vector, max(MAX_CLIENTS, len(known)))
        return {client: min(clock, known[client]) for client, clock in claimed.items() if client in known}

    def _size_bytes(self, update: bytes) -> int:
        return self._measured_bytes + self.unmeasured_bytes + len(update)

    def missing(self, shape: Shape) -> Missing | None:
        """Return the first thing that an update of this `shape` waits for, None if it waits for nothing."""
        known, own = self.state_vector, shape.struct_ends
        for client, start in shape.struct_starts.items():
            if known.get(client, 0) < start:
                return Missing(client, start)
        for wanted in (shape.needs, shape.delete_ends):
            for client, clock in wanted.items():
                if known.get(client, 0) < clock and own.get(client, 0) < clock:
                    return Missing(client, clock)
        return None

    def lacks(self, shape: Shape) -> bool:
        """Return whether an update of this `shape` has a struct that is not here."""
        known = self.state_vector
        return any(known.get(client, 0) < end for client, end in shape.struct_ends.items())

    def contains(self, update: bytes, shape: Shape) -> bool:
        """Return whether an update of this `shape` changes nothing: all it has and all it deletes is known.

        Raises PoisonedDocumentError if yrs fails.
        """
        if self.lacks(shape):
            return False
        deletions = deleted_ranges(update, shape.deletions_at)
        if not deletions:
            return True
        if self._deleted is None:
            own = self.difference(self.state_vector)
            self._deleted = deleted_ranges(own, walk(own).deletions_at)
        return covers(self._deleted, deletions)

    def apply(self, update: bytes, shape: Shape) -> Applied:
        """Apply an update without gaps that waits for nothing.

        Raises MalformedError if it may not touch the document (nothing changed) and
        PoisonedDocumentError if yrs failed on it in spite of the walk.
        """
        if update == NOTHING:
            return Applied(None, {})
        self._check_nesting(update, shape)
        change = self._apply(update)
        known = self.state_vector
        ends = {client: end for client, end in shape.struct_ends.items() if end > known.get(client, 0)}
        if change != update and not self._took_in(change, ends, update[: shape.only_struct_at]):
            raise PoisonedDocumentError(update, "it did not take in all of an update")
        before = {client: known.get(client, 0) for client in ends}
        known.update(ends)
        self._count(update)
        return Applied(change, before)

    def encoded_state_vector(self) -> bytes:
        """Return the state vector as it goes into a Step1."""
        return encode_state_vector(self.state_vector)

    def difference(self, known: StateVector) -> bytes:
        """Return what someone who knows `known` lacks, every deletion included.

        Raises PoisonedDocumentError if yrs fails.
        """
        if not known and self._whole is not None:
            return self._whole
        try:
            difference = self.doc.get_update(encode_state_vector(known))
        except BaseException as error:
            raise _poisoned(None, error) from error
        if not known:
            self._whole = difference
            self._footprint_bytes = 0
            self._count(difference)
            self._measured_bytes, self.unmeasured_bytes = len(difference), 0
        return difference

    def items(self) -> list[Item]:
        """Return all items as they are encoded.

        Raises PoisonedDocumentError if yrs fails, also by encoding what is no update.
        """
        try:
            return _items(self.difference({}))
        except MalformedError as error:
            raise PoisonedDocumentError(None, error) from error

    def _count(self, update: bytes) -> None:
        self.unmeasured_bytes += len(update)
        is_small = len(update) <= _SMALL_BYTES
        self._footprint_bytes += BYTES_PER_BYTE * len(update) if is_small else footprint_bytes(update)

    def _observe(self) -> None:
        """Collect what changes, as long as somebody holds this object.

        A subscription holds its document from inside yrs, where no garbage collector looks: the two would stay
        for ever. So nothing that it calls holds this object, and when that goes, the subscription is ended.
        """
        emitted = self._emitted
        subscription = self.doc._doc.observe(lambda event: emitted.append(event.update))
        weakref.finalize(self, subscription.drop).atexit = False

    def _apply(self, update: bytes) -> bytes | None:
        self._emitted.clear()
        try:
            apply_update(self.doc, update)
        except ValueError as error:
            raise MalformedError(f"yrs refuses the update: {error}") from None
        except BaseException as error:
            raise _poisoned(update, error) from error
        if not self._emitted:
            return None
        self._whole = self._deleted = None
        return self._emitted.pop()

    def _took_in(self, change: bytes | None, ends: StateVector, head: bytes) -> bool:
        """Return whether `change`, just made, brings every client in `ends` as far as it says.

        `head` is what came before the one struct of the update, empty if it had not one: one is taken whole or not.
        """
        if change is None:
            return not ends
        if head and change.startswith(head):
            return True
        try:
            # Whichever is shorter: a large change takes as long to walk again as it took before.
            is_short = len(change) < _WALK_INSTEAD_BYTES * len(self.state_vector)
            done = walk(change).struct_ends if is_short else decode_state_vector(self.doc.get_state())
        except MalformedError:
            return False
        return all(done.get(client) == end for client, end in ends.items())

    def _check_nesting(self, update: bytes, shape: Shape) -> None:
        if self._nesting is None:
            if not shape.has_nested_types:
                return
            nesting = Nesting()
            nesting.place(self.items(), {})
            self._nesting = nesting
        self._nesting.place(_items(update), self.state_vector)


def apply_update(doc: Doc[Any], update: bytes) -> None:
    """`Doc.apply_update` by what pycrdt has below it: its own takes twice as long, to serve needs that we have not."""
    raw = doc._doc
    transaction = raw.create_transaction()
    try:
        raw.apply_update(transaction, update)
        transaction.commit()
    finally:
        transaction.drop()


def _poisoned(update: bytes | None, error: BaseException) -> BaseException:
    # A Rust panic reaches Python as a BaseException of its own; those of Python go on as they are.
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return error
    return PoisonedDocumentError(update, error)


def _items(update: bytes) -> list[Item]:
    items: list[Item] = []
    walk(update, items)
    return items
