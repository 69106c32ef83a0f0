"""The rows that show one root map of a document, and which of its entities operations touched.

Pure. Which entities an operation changed is taken from the events of the root map; what they look like now is read from
the document, so that a nested type that was replaced, deleted and added again in one transaction reads as it ended.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

import orjson
from pycrdt import Map

from collab.document import LiveDocument
from persistence.document import MAX_KEY_BYTES, Edge, Layer, Node, is_valid
from persistence.ports import Changes

_Entity = TypeVar("_Entity", Node, Edge, Layer)


class EntityTable(Generic[_Entity]):
    """One root map and the rows that show it: for each key with a row, how many of its fields were no valid ones."""

    def __init__(
        self,
        document: LiveDocument,
        root: str,
        kind: type[_Entity],
        read: Callable[[str, Mapping[str, Any]], _Entity],
    ) -> None:
        self.root = root
        self._doc = document.doc
        self._map: Map[Any] = document.doc.get(root, type=Map)
        self._fields = frozenset(kind.__slots__) - {"id"}
        self._read: Callable[[str, Mapping[str, Any]], _Entity] = read
        self._rows: dict[str, int] = {}
        self._without_row: set[str] = set()
        self._changed: set[str] | None = None
        self._touched: set[str] | None = set()
        self._is_recorded = False
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
            self.take_touched()
            changed, self._changed = self._all() if self._changed is None else self._changed, set()
            for id_ in sorted(changed):
                entity = self._row(id_)
                if entity is not None:
                    written.append(entity)
                elif self._rows.pop(id_, None) is not None:
                    deleted.append(id_)
        return Changes(written, deleted, len(self._rows))

    def record(self) -> None:
        """Let `take_touched` tell what is touched from now on."""
        self.take_touched()
        self._is_recorded = True

    def take_touched(self) -> Collection[str] | None:
        """Return the entities that were touched since the last call, None if they are not known."""
        touched, self._touched = self._touched, set()
        if touched is None:
            self._changed = None
        elif self._changed is not None:
            self._changed |= touched
        return touched

    def ids(self) -> Collection[str]:
        """Return the keys of all entities."""
        return set(self._map.keys())

    def entities(self) -> tuple[_Entity, ...]:
        """Return all entities that have rows, sorted by id."""
        with self._doc.transaction():
            found = [self.entity(id_) for id_ in sorted(self.ids())]
        return tuple(entity for entity in found if entity is not None)

    def entity(self, id_: str) -> _Entity | None:
        """Return an entity as its row shows it, None if it has none."""
        shown = self._shown(id_)
        return None if shown is None else shown[0]

    def _all(self) -> set[str]:
        return {*self._map.keys(), *self._rows, *self._without_row}

    def _row(self, id_: str) -> _Entity | None:
        """Return an entity as its row shows it, None if it has none, and count what is wrong with it."""
        self._without_row.discard(id_)
        shown = self._shown(id_)
        if shown is None:
            if id_ in self._map:
                self._without_row.add(id_)
            return None
        entity, self._rows[id_] = shown
        return entity

    def _shown(self, id_: str) -> tuple[_Entity, int] | None:
        """Return an entity and how many of its fields are no valid ones, None if it has no row."""
        value = self._map.get(id_)
        if not isinstance(value, Map) or not _is_storable_key(id_):
            return None
        fields = {name: field for name, field in _plain(value).items() if name in self._fields and field is not None}
        valid = {name: field for name, field in fields.items() if is_valid(name, field) and _is_storable(name, field)}
        return self._read(id_, valid), len(fields) - len(valid)

    def _on_change(self, events: Iterable[Any]) -> None:
        if self._touched is None or (self._changed is None and not self._is_recorded):
            return
        try:
            for event in events:
                # A number leads into a list that somebody keeps in the same root; it has no rows.
                self._touched.update(key for key in event.path[:1] or event.keys if isinstance(key, str))
        except BaseException:  # noqa: BLE001 - yrs panics on an entry that is a text's format; then all are looked at
            self._touched = None


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
