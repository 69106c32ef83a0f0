"""Documents made of what is stored, without the rows that would bring them down.

A compacted state was checked when it was made. Rows may be of an older version, so each goes the way it would go if it
came in now: the walk and the guard of nested types keep from yrs what is known to kill it. What yrs fails on in spite
of that is looked for by trying (`examine`).
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from collab.arrivals import Arrivals
from collab.document import LiveDocument, PoisonedDocumentError
from collab.wire.errors import MalformedError
from collab.wire.update import Shape, pieces, walk
from persistence.ports import DocumentChunk

MAX_EXAMINED = 16
"""How many rows that yrs fails on are looked for at once; the next load looks for more."""

Row = tuple[int, bytes]
"""A stored operation: its id and its update."""


class BrokenStateError(Exception):
    """A compacted state does not load."""

    def __init__(self, cause: object) -> None:
        super().__init__(f"the compacted state does not load: {cause}")


class Loading:
    """A document in the making. `refused` are the rows that are no part of it, by id, with what is wrong with them.

    What waits is not bounded: it is stored, and must not be lost. `banned` are updates that the document
    failed on when they came in: no proof against a row. `row` is the one that was taken last. `document` is empty.
    """

    def __init__(self, waiting_bytes: int, banned: Container[bytes] = (), document: LiveDocument | None = None) -> None:
        self.document = LiveDocument() if document is None else document
        self.arrivals = Arrivals(self.document, waiting_bytes, banned, self._refuse_waiting)
        self.refused: dict[int, str] = {}
        self.row = 0
        self._ids: dict[bytes, int] = {}
        self._split: set[int] = set()

    def take_chunk(self, chunk: DocumentChunk) -> None:
        """Take the next part. Raises BrokenStateError, or PoisonedDocumentError if yrs failed on a row."""
        if chunk.ids:
            self.take_rows(zip(chunk.ids, chunk.updates, strict=True))
        for state in chunk.updates if not chunk.ids else ():
            self.take_state(state)

    def take_state(self, state: bytes) -> None:
        """Begin with a compacted state. Raises BrokenStateError."""
        try:
            self.document.load((state,))
        except PoisonedDocumentError as error:
            raise BrokenStateError(error) from error

    def take_rows(self, rows: Iterable[Row]) -> None:
        """Take the next rows. Raises PoisonedDocumentError.

        Each in a transaction of yrs of its own, as when it came in: several in one can become something else.
        """
        for id_, update in rows:
            self.take(id_, update)

    def take(self, id_: int, update: bytes) -> list[bytes]:
        """Take one row; return the updates that were applied with it. Raises PoisonedDocumentError."""
        self.row = id_
        try:
            shape = walk(update)
            if not shape.has_gaps:
                return self._take_piece(id_, update, shape)
            return self._take_split(id_, pieces(update))
        except MalformedError as error:
            self.refused[id_] = str(error)
            return []

    def id_of(self, update: bytes) -> int | None:
        """Return which row an update that waits, or waited, is of."""
        return self._ids.get(update)

    def waiting(self) -> dict[bytes, int]:
        """Return the updates that wait for others, in the order in which they came, and the rows they are of."""
        return {update: self._ids[update] for update in self.arrivals.waiting}

    def forget_rows(self) -> None:
        """End: the document goes live, and what is refused from now on is no matter of this load."""
        self._ids.clear()

    def _take_piece(self, id_: int, piece: bytes, shape: Shape) -> list[bytes]:
        arrivals = self.arrivals.take(piece, shape, is_stored=True)
        if not arrivals:
            self._ids.setdefault(piece, id_)
        return [arrival.update for arrival in arrivals]

    def _take_split(self, id_: int, parts: Sequence[bytes]) -> list[bytes]:
        """Take a row in pieces, each of which may wait. If one is refused the document is lost: it may have others."""
        self._split.add(id_)
        applied: list[bytes] = []
        for piece in parts:
            self._ids.setdefault(piece, id_)
            try:
                applied += self._take_piece(id_, piece, walk(piece))
            except MalformedError as error:
                raise PoisonedDocumentError(piece, error) from error
        return applied

    def _refuse_waiting(self, update: bytes, error: MalformedError) -> None:
        id_ = self._ids.get(update)
        if id_ in self._split:
            raise PoisonedDocumentError(update, error)
        if id_ is not None:  # else the document is live, and its next load leaves the row out
            self.refused[id_] = str(error)


def rows_of(chunks: Sequence[DocumentChunk]) -> Iterator[Row]:
    """Yield the rows of stored parts, in order."""
    return (row for chunk in chunks for row in zip(chunk.ids, chunk.updates, strict=False))


def load(chunks: Sequence[DocumentChunk], without: Container[int] = ()) -> Loading:
    """Make a document of its stored parts, but for the rows `without`. Pure.

    Raises BrokenStateError, or PoisonedDocumentError if yrs failed on a row.
    """
    loading = Loading(0)
    for chunk in chunks:
        if not chunk.ids:
            loading.take_chunk(chunk)
    loading.take_rows(row for row in rows_of(chunks) if row[0] not in without)
    return loading


def examine(chunks: Sequence[DocumentChunk]) -> Mapping[int, str]:
    """Return the rows that yrs fails on, by id, and how: those that the document of `chunks` can be made without.

    At most MAX_EXAMINED; none if there are none. Pure. Raises BrokenStateError.
    """
    examination = _Examination(chunks)
    while len(examination.found) < MAX_EXAMINED and (bad := examination.next()) is not None:
        examination.found[bad.id] = bad.reason
    return examination.found


class _Bad(NamedTuple):
    id: int
    reason: str


class _Examination:
    def __init__(self, chunks: Sequence[DocumentChunk]) -> None:
        self.found: dict[int, str] = {}
        self._states = [chunk for chunk in chunks if not chunk.ids]
        self._rows = list(rows_of(chunks))

    def next(self) -> _Bad | None:
        """Return the first bad row among those that are not found yet."""
        rows = [row for row in self._rows if row[0] not in self.found]
        loading = self._begin()
        try:
            id_ = 0
            for id_, update in rows:
                loading.take(id_, update)
            loading.document.items()
        except PoisonedDocumentError as error:
            if error.update is None:  # it was seen when all of it was read, whichever row it came with
                return _Bad(self._culprit(rows), str(error))
            waited = loading.id_of(error.update)
            return _Bad(id_ if waited is None else waited, str(error))
        return None

    def _culprit(self, rows: Sequence[Row]) -> int:
        """Return the row without which the first rows of a document that cannot be read could be."""
        count = _first(len(rows), lambda count: self._fails(rows[:count]))
        last = rows[count - 1][0]
        for id_ in self._freed(rows[:count]):
            if not self._fails([row for row in rows[:count] if row[0] != id_]):
                return id_
        return last

    def _freed(self, rows: Sequence[Row]) -> list[int]:
        """Return the rows that waited for the last one."""
        loading = self._begin()
        applied: list[bytes] = []
        with suppress(PoisonedDocumentError):
            for row in rows:
                applied = loading.take(*row)
        return [id_ for update in applied if (id_ := loading.id_of(update)) is not None]

    def _fails(self, rows: Iterable[Row]) -> bool:
        loading = self._begin()
        try:
            for row in rows:
                loading.take(*row)
            loading.document.items()
        except PoisonedDocumentError:
            return True
        return False

    def _begin(self) -> Loading:
        loading = Loading(0)
        for chunk in self._states:
            loading.take_chunk(chunk)
        try:
            loading.document.items()
        except PoisonedDocumentError as error:
            raise BrokenStateError(error) from error
        return loading


def _first(last: int, is_true: Callable[[int], bool]) -> int:
    """Return the lowest number from 1 to `last` for which `is_true` holds; it does for `last` and all from that on."""
    low, high = 1, last
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_true(middle) else (middle + 1, high)
    return low
