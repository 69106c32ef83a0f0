"""What must change in a document for it to hold a graph, and the edits in place that change it.

Pure. Positions, texts and what nobody here knows of an entity belong to the document: they stay with what stays, are
kept whole when they go, and come back with what comes back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any
from uuid import UUID, uuid5

import orjson
from pycrdt import Doc, Map

from persistence.document import (
    ABSENT,
    MAX_VALUE_DEPTH,
    DocumentUpdate,
    GraphContent,
    Layer,
    batches,
    fields_size_bytes,
    read_content,
    transact,
)
from persistence.document_edits import Change, Entity, edit_document, same_value
from replay.operations import EDITED_FIELDS, KINDS, ROOTS, read_entity

Fields = Mapping[str, Any]

_EDITED: Mapping[str, frozenset[str]] = {ROOTS[kind]: frozenset(names) for kind, names in EDITED_FIELDS.items()}

_PLAIN: Mapping[str, Callable[[Entity], Any]] = {
    kind: attrgetter(*(name for name in names if name != "properties")) for kind, names in EDITED_FIELDS.items()
}
"""The edited fields whose values are alike when Python says so; a true and a 1 in properties are not."""


@dataclass(frozen=True, slots=True)
class Removed:
    """An entity that goes whole: `fields` are all that it has in the document, as JSON."""

    root: str
    id: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Difference:
    """Changes in the order in which they can be made: no edge is there without its ends at any time.

    `unknown` are fields that nobody here knows, of entities that come again. `removed` is what goes with something
    that no graph holds.
    """

    comes: tuple[Change, ...]
    stays: tuple[Change, ...]
    goes: tuple[Change, ...]
    unknown: Mapping[str, Mapping[str, Fields]]
    removed: tuple[Removed, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return all of them, in order."""
        return self.comes + self.stays + self.goes

    def make(self, doc: Doc[Any]) -> Iterator[DocumentUpdate]:
        """Make the changes in `doc`, and yield the updates that make them anywhere (`edit_document`)."""
        yield from edit_document(doc, self.comes)
        for root, fields in self.unknown.items():
            yield from _write_unknown(doc, doc.get(root, type=Map), fields)
        yield from edit_document(doc, self.stays + self.goes)


def difference(doc: Doc[Any], graph_id: UUID, wanted: GraphContent, removed: Sequence[Removed]) -> Difference:
    """Return what makes the graph `graph_id` in `doc` read as `wanted`; of `removed`, the newest is the last."""
    content = read_content(doc, graph_id)
    sides = [_Side.of(kind, getattr(content, ROOTS[kind]), getattr(wanted, ROOTS[kind])) for kind in KINDS]
    restored = {(one.root, one.id): one.fields for one in removed}
    comes = tuple(_coming(one, restored, graph_id) for side in sides for one in side.comes)
    unknown: dict[str, dict[str, Fields]] = {}
    for change in comes:
        if fields := _unknown(change, restored):
            unknown.setdefault(change.root, {})[change.id] = fields
    goes = tuple(one for kind in ("edge", "node", "layer") for side in sides if side.kind == kind for one in side.goes)
    stays = tuple(one for side in sides for one in side.stays)
    return Difference(comes, stays, goes, unknown, tuple(_kept_whole(doc, goes)))


@dataclass(frozen=True, slots=True)
class _Side:
    """What comes, stays as another, and goes, of one kind; each sorted by id."""

    kind: str
    comes: list[Change]
    stays: list[Change]
    goes: list[Change]

    @classmethod
    def of(cls, kind: str, present: Sequence[Entity], wanted: Sequence[Entity]) -> "_Side":
        root = ROOTS[kind]
        before = {entity.id: entity for entity in present}
        after = {entity.id: entity for entity in wanted}
        return cls(
            kind=kind,
            comes=[Change(root, one.id, None, one) for one in wanted if one.id not in before],
            stays=list(_edited(kind, before, after)),
            goes=[Change(root, one.id, one, None) for one in present if one.id not in after],
        )


def _edited(kind: str, before: Mapping[str, Entity], after: Mapping[str, Entity]) -> Iterator[Change]:
    plain = _PLAIN[kind]
    for id_, wanted in after.items():
        present = before.get(id_)
        if present is None or (plain(present) == plain(wanted) and same_value(present.properties, wanted.properties)):
            continue
        values = {name: getattr(wanted, name) for name in EDITED_FIELDS[kind]}
        yield Change(ROOTS[kind], id_, present, replace(present, **values))


def _coming(change: Change, restored: Mapping[tuple[str, str], Fields], graph_id: UUID) -> Change:
    """Return the change with what the document says of an entity, and without the lineage that is understood."""
    entity = change.after
    if entity is None or isinstance(entity, Layer):
        return change
    if entity.lineage_id == uuid5(graph_id, entity.id):
        entity = replace(entity, lineage_id=None)
    fields = restored.get((change.root, change.id))
    if fields is not None and change.root == "nodes":
        node = read_entity("node", graph_id, {**fields, "id": entity.id})
        entity = replace(entity, **{name: getattr(node, name) for name in ("position", "content")})
    return replace(change, after=entity)


def _unknown(change: Change, restored: Mapping[tuple[str, str], Fields]) -> Fields:
    fields = restored.get((change.root, change.id), {})
    known = ABSENT[type(change.after)]
    return {name: value for name, value in fields.items() if name not in known and _is_flat(value)}


def _is_flat(value: Any, depth_left: int = MAX_VALUE_DEPTH) -> bool:
    if not isinstance(value, list | dict):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth_left > 0 and all(_is_flat(one, depth_left - 1) for one in inner)


def _write_unknown(doc: Doc[Any], root: Map[Any], unknown: Mapping[str, Fields]) -> Iterator[DocumentUpdate]:
    def write(item: tuple[str, Fields]) -> None:
        root[item[0]].update(item[1])

    for batch in batches(unknown.items(), lambda item: fields_size_bytes(*item)):
        yield transact(doc, batch, write)


def _kept_whole(doc: Doc[Any], goes: Sequence[Change]) -> Iterator[Removed]:
    """Find what goes with a position, a text or fields that nobody here knows."""
    with doc.transaction():
        for change in goes:
            fields = orjson.loads(str(doc.get(change.root, type=Map)[change.id]))
            if fields.keys() - _EDITED[change.root]:
                yield Removed(change.root, change.id, fields)
