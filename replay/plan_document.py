"""A plan as the document that people edit together: root maps `nodes` and `edges`, and two members of `meta`.

Pure. `meta` may have `version` and `metadata`. Each node is a map of `type`, `position`, `metadata` and `config`, which
is a map itself, so that several people can set its members at the same time; each edge one of `source`, `target`,
`order` and `metadata`. Anything else in the document means nothing to the plan and is never touched, but for entries of
`nodes` and `edges` that the plan lacks.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from pycrdt import Doc, Map

from persistence.document import DocumentUpdate, batches, fields_size_bytes, transact
from persistence.document_edits import same_value
from replay.canonical import canonical_json

FIELDS: Mapping[str, tuple[str, ...]] = {
    "nodes": ("type", "config", "metadata", "position"),
    "edges": ("source", "target", "order", "metadata"),
}
"""What a plan says of each entity, beside its id."""

META_FIELDS = ("version", "metadata")
"""What the map `meta` says of the plan."""

_ETAG_DIGITS = 32


def read_told(doc: Doc[Any]) -> dict[str, Any]:
    """Return what a document says of its plan, sound or not, as `replay.plan_reading.read_plan` takes it.

    Nodes and edges are sorted by id.
    """
    meta = _json(doc.get("meta", type=Map))
    told: dict[str, Any] = {name: meta[name] for name in META_FIELDS if meta.get(name) is not None}
    return told | {root: list(_read_root(doc, root)) for root in FIELDS}


def read_document(document: bytes) -> dict[str, Any]:
    """Return what a whole document, as one Yjs v1 update, says of its plan."""
    doc: Doc[Any] = Doc()
    doc.apply_update(document)
    return read_told(doc)


def etag_of(told: Mapping[str, Any]) -> str:
    """Return a tag that changes whenever a plan says something else, layout and metadata included."""
    said = {
        "meta": _fields(META_FIELDS, told),
        **{root: {one["id"]: _fields(FIELDS[root], one) for one in told.get(root, ())} for root in FIELDS},
    }
    return sha256(canonical_json(said)).hexdigest()[:_ETAG_DIGITS]


def write_told(doc: Doc[Any], told: Mapping[str, Any]) -> Iterator[DocumentUpdate]:
    """Make `doc` say `told`, a plan as JSON, and yield the updates that do so anywhere.

    Only what differs is written, in place. Each update has at most MAX_UPDATE_BYTES, unless one value is larger.
    """
    edits = [edit for root in FIELDS for edit in _entity_edits(root, doc.get(root, type=Map), told.get(root, ()))]
    edits += _member_edits(("meta",), doc.get("meta", type=Map), _fields(META_FIELDS, told), META_FIELDS)
    for batch in batches(edits, lambda edit: edit.size_bytes):
        yield transact(doc, batch, lambda edit: edit.make(doc))


@dataclass(frozen=True, slots=True)
class _Edit:
    """What is at `path`, a root map and keys from there, is `value` afterwards; None removes it."""

    path: tuple[str, ...]
    value: Any

    @property
    def size_bytes(self) -> int:
        return fields_size_bytes("/".join(self.path), {"": self.value})

    def make(self, doc: Doc[Any]) -> None:
        root, *way, last = self.path
        at: Map[Any] = doc.get(root, type=Map)
        for key in way:
            at = at[key]
        if self.value is None:
            at.pop(last, None)
        else:
            at[last] = self._shared()

    def _shared(self) -> Any:
        if self.path[0] == "meta":
            return self.value
        match self.path:
            case (_, _):
                return Map({name: Map(part) if name == "config" else part for name, part in self.value.items()})
            case (_, _, "config"):
                return Map(self.value)
            case _:
                return self.value


def _read_root(doc: Doc[Any], root: str) -> Iterator[dict[str, Any]]:
    for id_, entity in sorted(_json(doc.get(root, type=Map)).items()):
        yield {"id": id_, **(_fields(FIELDS[root], entity) if isinstance(entity, dict) else {})}


def _json(shared: Map[Any]) -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads(str(shared))  # yrs writes JSON itself
    return read


def _fields(names: Iterable[str], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of an entity that say something; an empty `metadata` does not."""
    found = ((name, told.get(name)) for name in names)
    return {name: value for name, value in found if value is not None and not (name == "metadata" and value == {})}


def _entity_edits(root: str, entities: Map[Any], wanted: Iterable[Mapping[str, Any]]) -> Iterator[_Edit]:
    fields = {entity["id"]: _fields(FIELDS[root], entity) for entity in wanted}
    yield from (_Edit((root, id_), None) for id_ in sorted(entities.keys()) if id_ not in fields)
    for id_, said in fields.items():
        current = entities.get(id_)
        if isinstance(current, Map):
            yield from _member_edits((root, id_), current, said, FIELDS[root])
        else:
            yield _Edit((root, id_), said)


def _member_edits(
    path: tuple[str, ...], current: Map[Any], wanted: Mapping[str, Any], names: Iterable[str]
) -> Iterator[_Edit]:
    has = _json(current)
    for name in names:
        value, inner = wanted.get(name), current.get(name)
        if name == "config" and len(path) > 1 and isinstance(inner, Map):
            members = value or {}
            yield from _member_edits((*path, name), inner, members, sorted(members.keys() | has[name].keys()))
        elif not same_value(has.get(name), value):
            yield _Edit((*path, name), value)
