"""A follower's copy of one document, and what its rows become when operations are applied to it.

Pure. The copy is made of committed operations only, in the order of their ids, and exactly as a room
that loads them would make it. If the graph has a base, what each operation did goes to a capture of manual edits.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson
from pycrdt import Map

from collab.document import Applied, LiveDocument, PoisonedDocumentError
from collab.entity_table import EntityTable
from collab.loading import Loading
from collab.recording import RecordedDocument, is_lost
from collab.wire.update import Shape
from persistence.document import (
    Edge,
    GraphContent,
    Layer,
    Node,
    read_edge,
    read_layer,
    read_node,
)
from persistence.document_edits import Change
from persistence.ports import (
    AppliedOperation,
    BeginCapture,
    Changes,
    Compaction,
    EditCapture,
    GraphCursor,
    ProjectionStep,
    StoredOperation,
)
from persistence.replay_records import Author, EditStep, StoredEdits

CONTENT_ROOTS = ("nodes", "edges", "layers", "meta")


class DocumentCopy:
    """The document of one graph as of `through`; `fresh_operations` and `fresh_bytes` are not in its compacted state.

    `stored` is what its edits are captured from if it has a base. Raises BrokenStateError if the state does not load.
    """

    def __init__(
        self, graph_id: UUID, cursor: GraphCursor, waiting_bytes: int, stored: StoredEdits | None = None
    ) -> None:
        self.graph_id = graph_id
        self.through = cursor.through
        self.projected_through = cursor.projected_through
        self.compacted_through = cursor.compacted_through
        self.encoded_bytes = 0
        self.fresh_operations = 0
        self.fresh_bytes = 0
        self.rests_until = float("-inf")
        self._stored = stored  # until the capture begins
        self._capture: EditCapture | None = None
        self._authors: Mapping[int, Author] = {}
        self._document = LiveDocument() if stored is None else RecordedDocument(self._owner, self._took)
        self._loading = Loading(waiting_bytes, document=self._document)
        self.remakes_rows = cursor.projected_through < max(cursor.through, 1)
        self._nodes = EntityTable(self._document, "nodes", Node, partial(read_node, graph_id))
        self._edges = EntityTable(self._document, "edges", Edge, partial(read_edge, graph_id))
        self._layers = EntityTable(self._document, "layers", Layer, read_layer)
        if cursor.state is not None:
            self._loading.take_state(cursor.state)
            self.encoded_bytes = len(cursor.state)

    def begin(self) -> None:
        """The copy is where its cursor is: what is applied from now on changes the rows."""
        if not self.remakes_rows:
            self._changes()

    @property
    def _tables(self) -> tuple[EntityTable[Node], EntityTable[Edge], EntityTable[Layer]]:
        return self._nodes, self._edges, self._layers

    def limit(self, highest: int) -> int:
        """Return up to which operation, at most `highest`, the next are to be applied.

        Where edits were captured last the capture goes on, so nothing is applied across that.
        """
        return highest if self._stored is None else min(highest, self._stored.through)

    def begin_capture(self, begin: BeginCapture) -> None:
        """Have edits captured of what is applied from now on, if the graph has a base and that is not behind."""
        if self._stored is None or self.through < self._stored.through:
            return
        for table in self._tables:
            table.record()
        content = GraphContent(self._nodes.entities(), self._edges.entities(), self._layers.entities())
        self._capture, self._stored = begin(self.graph_id, self._stored, content), None

    def capture_again(self, stored: StoredEdits) -> EditStep:
        """Return the edits of the last step as from `stored`, which somebody changed meanwhile."""
        assert self._capture is not None
        return self._capture.capture_again(stored)

    def authors_needed(self, operations: Sequence[StoredOperation]) -> Collection[int]:
        """Return of which operations the authors have to be known to apply `operations`: those that wait, too."""
        if self._capture is None:
            return ()
        return {*(operation.id for operation in operations), *self._loading.waiting().values()}

    def apply(
        self, operations: Sequence[StoredOperation], authors: Mapping[int, Author] = MappingProxyType({})
    ) -> None:
        """Apply the next `operations`; those that come too early wait, those that may not touch it are left out.

        `authors` are those of `authors_needed`. Raises PoisonedDocumentError: then the copy is lost.
        """
        self._authors = authors
        self._loading.take_rows(operations)
        self.encoded_bytes += sum(len(operation.update) for operation in operations)
        fresh = [len(operation.update) for operation in operations if operation.id > self.compacted_through]
        self.fresh_operations += len(fresh)
        self.fresh_bytes += sum(fresh)
        self.pass_to(max([self.through, *(operation.id for operation in operations)]))

    def pass_to(self, through: int) -> None:
        """Be as of `through`: all up to there was applied."""
        self.through = through

    def take_refused(self) -> Mapping[int, str]:
        """Return the operations that were left out since the last call, by id, and why."""
        refused, self._loading.refused = self._loading.refused, {}
        return refused

    def step(self) -> ProjectionStep:
        """Return what the rows become by what was applied since the last step.

        All of them are in the first step of a graph whose rows are to be remade.
        """
        nodes, edges, layers = self._changes()
        warnings = sum(table.warnings for table in self._tables)
        since, is_whole = self.projected_through, self.remakes_rows
        self.projected_through = self.through
        self.remakes_rows = False
        edits = None if self._capture is None else self._capture.step()
        return ProjectionStep(self.graph_id, since, self.through, is_whole, nodes, edges, layers, warnings, edits)

    def compaction(self) -> Compaction | None:
        """Return the copy as it is to be stored, or None if what is stored would not load as the same document.

        Raises PoisonedDocumentError: then the copy is lost.
        """
        state = self._document.difference({})
        loaded = LiveDocument()
        try:
            loaded.load((state,))
        except PoisonedDocumentError:
            return None
        if not _is_same(loaded, self._document):
            return None
        vector, pending_ids = self._document.encoded_state_vector(), sorted(set(self._loading.waiting().values()))
        return Compaction(self.graph_id, self.compacted_through, self.through, state, vector, pending_ids)

    def compacted(self, compaction: Compaction) -> None:
        """The compaction is stored."""
        self.compacted_through = compaction.through
        self.encoded_bytes = len(compaction.state)
        self.fresh_operations = self.fresh_bytes = 0

    def _changes(self) -> tuple[Changes[Node], Changes[Edge], Changes[Layer]]:
        return self._nodes.changes(), self._edges.changes(), self._layers.changes()

    def _owner(self, client_id: int) -> UUID | None:
        return None if self._capture is None else self._capture.owner(client_id)

    def _took(self, update: bytes, shape: Shape, applied: Applied) -> None:
        """Hand what one update did to the capture, as of the row that it was applied with."""
        if self._capture is None:
            return
        touched = [(table, table.take_touched()) for table in self._tables]
        changes = [change for table, ids in touched for change in self._changed(table, ids)]
        row = self._loading.row
        own = self._loading.id_of(update) or row
        is_unseen = not any(ids or ids is None for _, ids in touched) and is_lost(update, shape, applied)
        if changes or applied.before:
            clients = tuple(applied.before)
            self._capture.take(AppliedOperation(row, self._authors[own], own, clients, changes, is_unseen))

    def _changed(self, table: EntityTable[Any], ids: Collection[str] | None) -> Iterator[Change]:
        assert self._capture is not None
        if ids is None:
            ids = {*table.ids(), *self._capture.ids(table.root)}
        for id_ in sorted(ids):
            before, after = self._capture.before(table.root, id_), table.entity(id_)
            if before != after:
                yield Change(table.root, id_, before, after)


def _is_same(loaded: LiveDocument, document: LiveDocument) -> bool:
    """Return whether two documents have the same structs, deletions and graph."""
    if loaded.difference({}) == document.difference({}):
        return True  # to the byte; where runs of structs were split otherwise, it takes a closer look
    return (
        loaded.state_vector == document.state_vector
        # What someone who knows all structs lacks is every deletion.
        and loaded.difference(document.state_vector) == document.difference(document.state_vector)
        and all(_content(loaded, root) == _content(document, root) for root in CONTENT_ROOTS)
    )


def _content(document: LiveDocument, root: str) -> object:
    return orjson.loads(str(document.doc.get(root, type=Map)))
