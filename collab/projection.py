"""A follower's copy of one document, and what its rows become when operations are applied to it.

Pure. The copy is made of committed operations only, in the order of their ids, and exactly as a room
that loads them would make it. Which entities an operation changed is taken from the events of the
three root maps; what they look like now is read from the document, so that a nested type that was
replaced, deleted and added again in one transaction reads as it ended.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson
from pycrdt import Map

from collab.document import LiveDocument, PoisonedDocumentError
from collab.loading import Loading
from persistence.document import MAX_KEY_BYTES, Edge, Layer, Node, is_valid, read_edge, read_layer, read_node
from persistence.ports import Changes, Compaction, GraphCursor, ProjectionStep, StoredOperation

CONTENT_ROOTS = ("nodes", "edges", "layers", "meta")

_Entity = TypeVar("_Entity", Node, Edge, Layer)


class DocumentCopy:
    """The document of one graph as of `through`; `fresh_operations` and `fresh_bytes` are not in its compacted state.

    Raises BrokenStateError if that does not load.
    """

    def __init__(self, graph_id: UUID, cursor: GraphCursor, waiting_bytes: int) -> None:
        self.graph_id = graph_id
        self.through = cursor.through
        self.projected_through = cursor.projected_through
        self.compacted_through = cursor.compacted_through
        self.encoded_bytes = 0
        self.fresh_operations = 0
        self.fresh_bytes = 0
        self.rests_until = float("-inf")
        self._loading = Loading(waiting_bytes)
        self._document = self._loading.document
        self.remakes_rows = cursor.projected_through < max(cursor.through, 1)
        self._nodes = _Table(self._document, "nodes", Node, partial(read_node, graph_id))
        self._edges = _Table(self._document, "edges", Edge, partial(read_edge, graph_id))
        self._layers = _Table(self._document, "layers", Layer, read_layer)
        if cursor.state is not None:
            self._loading.take_state(cursor.state)
            self.encoded_bytes = len(cursor.state)

    def begin(self) -> None:
        """The copy is where its cursor is: what is applied from now on changes the rows."""
        if not self.remakes_rows:
            self._changes()

    def apply(self, operations: Sequence[StoredOperation]) -> None:
        """Apply the next `operations`; those that come too early wait, those that may not touch it are left out.

        Raises PoisonedDocumentError: then the copy is lost.
        """
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
        warnings = sum(table.warnings for table in (self._nodes, self._edges, self._layers))
        since, is_whole = self.projected_through, self.remakes_rows
        self.projected_through = self.through
        self.remakes_rows = False
        return ProjectionStep(self.graph_id, since, self.through, is_whole, nodes, edges, layers, warnings)

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


class _Table(Generic[_Entity]):
    """One root map and the rows that show it: for each key with a row, how many of its fields were no valid ones."""

    def __init__(
        self,
        document: LiveDocument,
        root: str,
        kind: type[_Entity],
        read: Callable[[str, Mapping[str, Any]], _Entity],
    ) -> None:
        self._doc = document.doc
        self._map: Map[Any] = document.doc.get(root, type=Map)
        self._fields = frozenset(kind.__slots__) - {"id"}
        self._read: Callable[[str, Mapping[str, Any]], _Entity] = read
        self._rows: dict[str, int] = {}
        self._without_row: set[str] = set()
        self._changed: set[str] | None = None
        # Not `Map.observe_deep`: it makes Python values of everything that changed.
        self._subscription = self._map.integrated.observe_deep(self._on_change)

    @property
    def warnings(self) -> int:
        """How many fields are no valid ones, and how many entities have no row."""
        return sum(self._rows.values()) + len(self._without_row)

    def changes(self) -> Changes[_Entity]:
        """Return what the rows become by all changes since the last call; the first time, all there is."""
        written: list[_Entity] = []
        deleted: list[str] = []
        with self._doc.transaction():
            changed, self._changed = self._all() if self._changed is None else self._changed, set()
            for id_ in sorted(changed):
                entity = self._entity(id_)
                if entity is not None:
                    written.append(entity)
                elif self._rows.pop(id_, None) is not None:
                    deleted.append(id_)
        return Changes(written, deleted, len(self._rows))

    def _all(self) -> set[str]:
        return {*self._map.keys(), *self._rows, *self._without_row}

    def _entity(self, id_: str) -> _Entity | None:
        """Return the entity as its row shows it, None if it has none."""
        self._without_row.discard(id_)
        if id_ not in self._map:
            return None
        value = self._map[id_]
        if not isinstance(value, Map) or not _is_storable_key(id_):
            self._without_row.add(id_)
            return None
        fields = {name: field for name, field in _plain(value).items() if name in self._fields and field is not None}
        valid = {name: field for name, field in fields.items() if is_valid(name, field) and _is_storable(name, field)}
        self._rows[id_] = len(fields) - len(valid)
        return self._read(id_, valid)

    def _on_change(self, events: Iterable[Any]) -> None:
        if self._changed is None:
            return
        try:
            for event in events:
                # A number leads into a list that somebody keeps in the same root; it has no rows.
                self._changed.update(key for key in event.path[:1] or event.keys if isinstance(key, str))
        except BaseException:  # noqa: BLE001 - yrs panics on an entry that is a text's format; then all are looked at
            self._changed = None


def _plain(entity: Map[Any]) -> dict[str, Any]:
    """Return the fields of `entity` as plain JSON, with a weight that JSON cannot hold as it is."""
    fields: dict[str, Any] = orjson.loads(str(entity))  # yrs writes JSON itself: 3 times as fast as to_py()
    if "weight" in fields and fields["weight"] is None:
        fields["weight"] = entity["weight"]
    return fields


def _is_storable_key(key: str) -> bool:
    return "\0" not in key and len(key.encode()) <= MAX_KEY_BYTES


def _is_storable(name: str, value: object) -> bool:
    """Return whether PostgreSQL can hold a valid `value`: it has no NUL."""
    if isinstance(value, str):
        return _is_storable_key(value) if name in ("source", "target") else "\0" not in value
    return not isinstance(value, dict) or b"\\u0000" not in orjson.dumps(value) or not _has_nul(value)


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(part) for item in value.items() for part in item)
    return isinstance(value, list) and any(map(_has_nul, value))


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
