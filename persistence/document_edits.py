"""Changes of a graph become edits in place of its Yjs document.

Pure. Only fields that change are written, into the map that the entity has already; what nobody here knows of an
entity stays. So what people do at the same time merges with it as with any other edit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import Any

from pycrdt import Doc, Map, Text

from persistence.document import (
    ABSENT,
    DocumentUpdate,
    Edge,
    Layer,
    Node,
    batches,
    fields_size_bytes,
    transact,
    write_entities,
    written_value,
)

Entity = Node | Edge | Layer

_DELETION_BYTES = 256
"""What the deletion of an entity takes, at most, but for texts that many clients typed."""


@dataclass(frozen=True, slots=True)
class Change:
    """An entity of a root map that is another afterwards: `before` is None if it is added, `after` if it is deleted."""

    root: str
    id: str
    before: Entity | None
    after: Entity | None

    def fields(self) -> tuple[str, ...]:
        """Return the fields that are not what they were, of an entity that stays."""
        before, after = self.before, self.after
        names = ABSENT[type(after)]
        return tuple(name for name in names if not same_value(getattr(before, name), getattr(after, name)))


def same_value(one: Any, other: Any) -> bool:
    """Whether two values read alike: 1 is 1.0, but not true, and the order of an object's members means nothing."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_value(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    return bool(one == other)


def edit_document(doc: Doc[Any], changes: Iterable[Change]) -> Iterator[DocumentUpdate]:
    """Make `changes`, sorted by root, in `doc` and yield the updates that make them anywhere.

    Each has at most MAX_UPDATE_BYTES, unless one entity is larger. What is in the place of an entity that comes, but is
    no map, is replaced.
    """
    for root, of_root in groupby(changes, key=lambda change: change.root):
        yield from _edit_root(doc, doc.get(root, type=Map), list(of_root))


def _edit_root(doc: Doc[Any], root: Map[Any], changes: Sequence[Change]) -> Iterator[DocumentUpdate]:
    yield from write_entities(doc, root, [one.after for one in changes if one.before is None and one.after])
    yield from edit_together(doc, [change for change in changes if change.before is not None])


def edit_together(doc: Doc[Any], changes: Iterable[Change]) -> Iterator[DocumentUpdate]:
    """Make changes of entities that are there, in the order given, and yield the updates that make them anywhere.

    Whatever roots they are in, they are one update, as long as MAX_UPDATE_BYTES hold them.
    """
    edits = (_Edit.of(change) for change in changes)
    for batch in batches(edits, lambda edit: edit.size_bytes):
        yield transact(doc, batch, lambda edit: edit.make(doc.get(edit.root, type=Map)))


@dataclass(frozen=True, slots=True)
class _Edit:
    """What is written into an entity that is there: None removes a field; without fields the entity goes."""

    root: str
    id: str
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, change: Change) -> "_Edit":
        if change.after is None:
            return cls(change.root, change.id, {})
        absent = ABSENT[type(change.after)]
        values = {name: getattr(change.after, name) for name in change.fields()}
        fields = {name: None if value == absent[name] else written_value(value) for name, value in values.items()}
        return cls(change.root, change.id, fields)

    @property
    def size_bytes(self) -> int:
        return fields_size_bytes(self.id, self.fields) if self.fields else len(self.id.encode()) + _DELETION_BYTES

    def make(self, root: Map[Any]) -> None:
        if not self.fields:
            del root[self.id]
            return
        entity: Map[Any] = root[self.id]
        for name, value in self.fields.items():
            if value is None:
                entity.pop(name, None)
            elif name == "content":
                _write_text(entity, name, value)
            else:
                entity[name] = value


def _write_text(entity: Map[Any], name: str, wanted: str) -> None:
    """Make a text that people may be typing in read `wanted`, by the one deletion and insertion that does it."""
    text = entity.get(name)
    old = str(text)
    # pycrdt counts in bytes of UTF-8; a text that counts more holds things that are none.
    if not isinstance(text, Text) or len(text) != len(old.encode()):
        entity[name] = Text(wanted)
        return
    prefix = _common(old, wanted)
    suffix = _common(reversed(old[prefix:]), reversed(wanted[prefix:]))
    start = len(old[:prefix].encode())
    end = start + len(old[prefix : len(old) - suffix].encode())
    if end > start:
        del text[start:end]
    if inserted := wanted[prefix : len(wanted) - suffix]:
        text.insert(start, inserted)


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """Return how many characters at the beginning are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
