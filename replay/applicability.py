"""Whether an edit still fits the graph that it meets, and why not.

Pure. An edit whose signature is what it was relies on nothing that changed. All others are judged by structure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol

import orjson

from persistence.document import MAX_EXACT_INTEGER
from persistence.document_edits import Entity, same_value
from replay.operations import EDITED_FIELDS, ROOTS, Act, EditOperation, value_of

_TOLD_CHARACTERS = 60
"""How much of a value a sentence tells."""

_SIGNATURE_DIGITS = 16

REFERENCES: Mapping[str, str] = {"source": "nodes", "target": "nodes", "belongs_to": "nodes", "layer": "layers"}
"""The fields that name another entity, and the root map it is in."""


class Reason(StrEnum):
    """What became of an edit, and why."""

    APPLIED = "applied"
    ALREADY_APPLIED = "already_applied"
    VALUE_CHANGED = "value_changed"
    ENTITY_CHANGED = "entity_changed"
    ENTITY_EXISTS = "entity_exists"
    ENTITY_MISSING = "entity_missing"
    END_MISSING = "end_missing"
    PARENT_MISSING = "parent_missing"
    CONTAINMENT_CYCLE = "containment_cycle"
    EDGE_END_LOST = "edge_end_lost"
    PARENT_LOST = "parent_lost"
    LAYER_MISSING = "layer_missing"


CONFLICTS = frozenset({Reason.VALUE_CHANGED, Reason.ENTITY_CHANGED})
"""Somebody upstream and somebody here changed the same thing: the policy of the project says who wins."""

INAPPLICABLE = frozenset({Reason.ENTITY_EXISTS, Reason.ENTITY_MISSING, Reason.END_MISSING, Reason.PARENT_MISSING})
"""The edit cannot be made in this graph."""


class Entities(Protocol):
    """A graph in which entities are looked up by root map and id."""

    def get(self, root: str, id_: str) -> Entity | None: ...


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field as the edit found it, as it is upstream now, and as the edit leaves it, told as operations do."""

    old: Any
    upstream: Any
    mine: Any


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an operation fits a graph: the reason, a sentence that says it and, for conflicts, the fields that changed.

    `missing_layer` is named by the operation, but not in the graph: it fits all the same.
    """

    reason: Reason
    message: str = ""
    fields: Mapping[str, FieldConflict] = field(default_factory=dict)
    missing_layer: str | None = None


def signature(operation: EditOperation, entities: Entities) -> str:
    """Return 16 hex digits of what `operation` relies on in the graph just before it.

    Of a creation: that the entity is absent, and which of the entities it names are there. Of an update: that the
    entity is there, the values of the fields it changes, and which of the entities it newly names are there. Of a
    deletion: the entity with all its edited fields.
    """
    present = entities.get(ROOTS[operation.kind], operation.entity_id)
    relied = {
        "present": present is not None,
        "values": {} if present is None else {name: value_of(present, name) for name in _relied_fields(operation)},
        "references": {name: is_present for name, _, is_present in _references(operation, entities)},
    }
    canonical = orjson.dumps(_canonical(relied), option=orjson.OPT_SORT_KEYS)
    return sha256(canonical).hexdigest()[:_SIGNATURE_DIGITS]


def judge(operation: EditOperation, entities: Entities) -> Verdict:
    """Return how `operation` fits the graph as it is, by structure."""
    present = entities.get(ROOTS[operation.kind], operation.entity_id)
    if operation.act is Act.CREATE:
        return _judge_creation(operation, present, entities)
    if operation.act is Act.UPDATE:
        return _judge_update(operation, present, entities)
    return _judge_deletion(operation, present, entities)


def judge_edit(operation: EditOperation, told_signature: str, entities: Entities) -> Verdict:
    """Return how an edit with that signature fits: whatever was missing when it was made may be missing again."""
    verdict = judge(operation, entities)
    is_excused = verdict.reason in CONFLICTS or verdict.reason in (Reason.END_MISSING, Reason.PARENT_MISSING)
    if is_excused and told_signature == signature(operation, entities):
        return _applied(operation, entities)
    return verdict


def _judge_creation(operation: EditOperation, present: Entity | None, entities: Entities) -> Verdict:
    if present is None:
        return _missing_reference(operation, entities) or _applied(operation, entities)
    if others := _differing(operation, present):
        message = f"{_called(operation)} exists already, with another {', '.join(others)}"
        return Verdict(Reason.ENTITY_EXISTS, message)
    return Verdict(Reason.ALREADY_APPLIED, f"{_called(operation)} exists already, and is the same")


def _judge_update(operation: EditOperation, present: Entity | None, entities: Entities) -> Verdict:
    changed = ", ".join(operation.new_values)
    if present is None:
        return Verdict(Reason.ENTITY_MISSING, f"{_called(operation)}, whose {changed} was changed, does not exist")
    fields = {
        name: FieldConflict(operation.old_values.get(name), now, value)
        for name, value in operation.new_values.items()
        if not same_value(now := value_of(present, name), value)
    }
    if not fields:
        return Verdict(Reason.ALREADY_APPLIED, f"{_called(operation)} has what its {changed} was changed to already")
    if missing := _missing_reference(operation, entities):
        return missing
    fields = {name: one for name, one in fields.items() if not same_value(one.old, one.upstream)}
    return _conflict(Reason.VALUE_CHANGED, operation, fields, entities) if fields else _applied(operation, entities)


def _judge_deletion(operation: EditOperation, present: Entity | None, entities: Entities) -> Verdict:
    if present is None:
        return Verdict(Reason.ALREADY_APPLIED, f"{_called(operation)} does not exist any more")
    if fields := _differing(operation, present):
        return _conflict(Reason.ENTITY_CHANGED, operation, fields, entities)
    return _applied(operation, entities)


def _differing(operation: EditOperation, present: Entity) -> dict[str, FieldConflict]:
    """Return the edited fields in which the entity of an operation is not like the one that is there."""
    told = operation.entity
    if told is None:
        return {}
    pairs = ((name, value_of(told, name), value_of(present, name)) for name in EDITED_FIELDS[operation.kind])
    return {name: FieldConflict(old, now, None) for name, old, now in pairs if not same_value(old, now)}


def _conflict(
    reason: Reason, operation: EditOperation, fields: Mapping[str, FieldConflict], entities: Entities
) -> Verdict:
    act = "deleted" if operation.act is Act.DELETE else "changed"
    told = (
        f"its {name} was {_told(one.old)}, and upstream it is {_told(one.upstream)}" for name, one in fields.items()
    )
    message = f"{_called(operation)} was {act} here, and otherwise upstream: {'; '.join(told)}"
    return Verdict(reason, message, fields, _missing_layer(operation, entities))


def _applied(operation: EditOperation, entities: Entities) -> Verdict:
    return Verdict(Reason.APPLIED, missing_layer=_missing_layer(operation, entities))


def _relied_fields(operation: EditOperation) -> tuple[str, ...]:
    """Return the fields whose values decide whether an operation still fits."""
    if operation.act is Act.CREATE:
        return ()
    return tuple(operation.new_values) if operation.act is Act.UPDATE else EDITED_FIELDS[operation.kind]


def _references(operation: EditOperation, entities: Entities) -> Iterator[tuple[str, str | None, bool]]:
    """Yield each field by which an operation names another entity, the id, and whether that is there."""
    for name, id_ in _named(operation):
        yield name, id_, id_ is not None and entities.get(REFERENCES[name], id_) is not None


def _named(operation: EditOperation) -> Iterator[tuple[str, str | None]]:
    """Yield what an operation names; an edge names both its ends, even where it has none."""
    if operation.act is Act.UPDATE:
        yield from ((name, id_) for name, id_ in operation.new_values.items() if name in REFERENCES)
    elif operation.act is Act.CREATE and operation.kind != "layer":
        names = (name for name in EDITED_FIELDS[operation.kind] if name in REFERENCES)
        yield from ((name, getattr(operation.entity, name)) for name in names)


def _missing_reference(operation: EditOperation, entities: Entities) -> Verdict | None:
    for name, id_, is_present in _references(operation, entities):
        if name in ("source", "target") and not is_present:
            message = f"the {name} of {_called(operation)}, node {_told(id_)}, does not exist"
            return Verdict(Reason.END_MISSING, message)
        if name == "belongs_to" and id_ is not None and not is_present:
            message = f"node {_told(id_)}, which {_called(operation)} belongs to, does not exist"
            return Verdict(Reason.PARENT_MISSING, message)
    return None


def _missing_layer(operation: EditOperation, entities: Entities) -> str | None:
    missing = (id_ for name, id_, is_present in _references(operation, entities) if name == "layer" and not is_present)
    return next(missing, None)


def _called(operation: EditOperation) -> str:
    return f"{operation.kind} {_told(operation.entity_id)}"


def _told(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= _TOLD_CHARACTERS else f"{text[:_TOLD_CHARACTERS]}…"


def _canonical(value: Any) -> Any:
    """Return plain JSON in which equal numbers are written alike."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= MAX_EXACT_INTEGER else value
    if isinstance(value, dict):
        return {name: _canonical(one) for name, one in value.items()}
    return [_canonical(one) for one in value] if isinstance(value, list) else value
