"""Operations that come through a door: told all that is wrong with them, or made in place as people's own edits are.

Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any
from uuid import UUID

from pycrdt import Doc

from persistence.document import (
    ABSENT,
    MAX_EXACT_INTEGER,
    MAX_KEY_BYTES,
    MAX_VALUE_DEPTH,
    DocumentUpdate,
    Layer,
    effective_lineage,
    is_valid,
    read_content,
)
from persistence.document_edits import Entity, edit_document, edit_together
from persistence.records import ServerEdit
from replay.applicability import FieldConflict, Reason, Verdict, judge
from replay.effects import effects, with_values
from replay.graph_state import GraphState
from replay.integrity import contains_itself
from replay.operations import KINDS, ROOTS, Act, EditOperation, value_of

_TYPES: Mapping[str, tuple[str, Act]] = {f"{kind}_{act}": (kind, act) for kind in KINDS for act in Act}
_IDS = ("source", "target", "belongs_to", "layer")
_ENDS = ("source", "target")
_EXPECTED: Mapping[str, str] = {
    "is_partition": "true or false",
    "weight": "a number",
    "properties": "an object",
    "position": "an object with the numbers x and y",
    "lineage_id": "a UUID",
}


@dataclass(frozen=True, slots=True)
class OperationProblem:
    """Something that is wrong with an operation; `path` is where, such as `new_values.weight`."""

    path: str
    message: str


class OperationErrors(ValueError):  # noqa: N818 - it is all of them at once
    """What came is no operation; `problems` are all that is wrong with it."""

    def __init__(self, problems: tuple[OperationProblem, ...]) -> None:
        super().__init__("; ".join(f"{one.path}: {one.message}" for one in problems))
        self.problems = problems


class InapplicableError(Exception):
    """An operation cannot be made in the graph as it is; of a conflict, `fields` tell what is there.

    `index` is its place, from 0, among those that came together.
    """

    def __init__(self, reason: Reason, message: str, fields: Mapping[str, FieldConflict], index: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.fields = fields
        self.index = index

    def __reduce__(self) -> tuple[type["InapplicableError"], tuple[Any, ...]]:
        return type(self), (self.reason, self.message, self.fields, self.index)


def check_operation(told: Mapping[str, Any]) -> EditOperation:
    """Return the operation that `told`, an object of JSON, says; raises OperationErrors with all that is wrong.

    Positions and texts of nodes are allowed: no manual edits, but part of the document. A deletion may leave out the
    entity; of its edges and children nothing is taken, for they are those there are. What is not told of a lineage is
    None in it.
    """
    problems = tuple(_problems(told))
    if problems:
        raise OperationErrors(problems)
    kind, act = _TYPES[told["type"]]
    entity = told.get(kind)
    return EditOperation(
        kind=kind,
        act=act,
        entity_id=told[kind]["id"] if act is Act.CREATE else told[f"{kind}_id"],
        entity=None if entity is None else _entity(kind, entity),
        old_values=_as_read(kind, told.get("old_values") or {}),
        new_values=_as_read(kind, told.get("new_values", {})),
    )


def _entity(kind: str, told: Mapping[str, Any]) -> Entity:
    return with_values(KINDS[kind](told["id"]), {name: value for name, value in told.items() if name != "id"})


def _as_read(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as operations tell them: what an absent field reads as is null."""
    entity = with_values(KINDS[kind](""), values)
    return _values(entity, values)


def post_operation(operation: EditOperation, graph_id: UUID, document: bytes, client_id: int) -> ServerEdit:
    """Make the edit that does `operation` in the graph `graph_id`, whose whole document is one update (a `Build`).

    With a node go its edges, and what belongs to it moves up, in the same update. Old values, and the entity of a
    deletion, are compared if they are told. The summary is `{type, entity_id, outcome, message, warnings}`; where
    there is nothing to do, `outcome` is `already_applied`, else `applied`. Raises InapplicableError.
    """
    doc, state = _opened(graph_id, document, client_id)
    return _posted(operation, graph_id, doc, state)


def post_operations(operations: Sequence[EditOperation], graph_id: UUID, document: bytes, client_id: int) -> ServerEdit:
    """Make the edit that does `operations`, one after the other, each as `post_operation` does (a `Build`).

    The summary is `{applied, already_applied, warnings}`: two counts and a list. Raises InapplicableError for the first
    that cannot be made, with its `index`.
    """
    doc, state = _opened(graph_id, document, client_id)
    updates: list[DocumentUpdate] = []
    warnings: list[Any] = []
    counts = {Reason.APPLIED.value: 0, Reason.ALREADY_APPLIED.value: 0}
    for index, operation in enumerate(operations):
        try:
            edit = _posted(operation, graph_id, doc, state)
        except InapplicableError as error:
            raise InapplicableError(error.reason, error.message, error.fields, index) from None
        updates += edit.updates
        warnings += edit.summary["warnings"]
        counts[edit.summary["outcome"]] += 1
    return ServerEdit(tuple(updates), {**counts, "warnings": warnings})


def _opened(graph_id: UUID, document: bytes, client_id: int) -> tuple[Doc[Any], GraphState]:
    doc: Doc[Any] = Doc(client_id=client_id)
    doc.apply_update(document)
    return doc, GraphState.of(read_content(doc, graph_id))


def _posted(operation: EditOperation, graph_id: UUID, doc: Doc[Any], state: GraphState) -> ServerEdit:
    """Do an operation in `doc`, and in `state`, which tells what that holds."""
    completed = _completed(operation, state.get(ROOTS[operation.kind], operation.entity_id), graph_id)
    verdict = judge(completed, state)
    if verdict.reason is Reason.ALREADY_APPLIED:
        return ServerEdit((), _summary(operation, verdict))
    if verdict.reason is not Reason.APPLIED:
        raise InapplicableError(verdict.reason, verdict.message, verdict.fields)
    changes = effects(operation, state)
    state.apply(effects(completed, state))
    if _moves_node(operation) and contains_itself(operation.entity_id, state):
        message = f'node "{operation.entity_id}" would contain itself'
        raise InapplicableError(Reason.CONTAINMENT_CYCLE, message, {})
    edit = edit_document if operation.act is Act.CREATE else edit_together
    return ServerEdit(tuple(edit(doc, changes)), _summary(operation, verdict))


def _completed(operation: EditOperation, present: Entity | None, graph_id: UUID) -> EditOperation:
    """Return the operation with what it leaves open: old values and lineages that are not told are those there are."""
    if present is not None and operation.act is Act.UPDATE:
        return replace(operation, old_values=_values(present, operation.new_values) | dict(operation.old_values))
    entity = operation.entity
    if entity is None or isinstance(entity, Layer) or entity.lineage_id is not None:
        return operation
    if operation.act is Act.DELETE and present is not None and not isinstance(present, Layer):
        return replace(operation, entity=replace(entity, lineage_id=present.lineage_id))
    return replace(operation, entity=replace(entity, lineage_id=effective_lineage(graph_id, entity.id, None)))


def _values(entity: Entity, names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value_of(entity, name) for name in names}


def _moves_node(operation: EditOperation) -> bool:
    is_moved = operation.act is Act.CREATE or operation.new_values.get("belongs_to") is not None
    return operation.kind == "node" and is_moved


def _summary(operation: EditOperation, verdict: Verdict) -> dict[str, Any]:
    layer = verdict.missing_layer
    message = f'there is no layer "{layer}", which {operation.kind} "{operation.entity_id}" names'
    return {
        "type": operation.type,
        "entity_id": operation.entity_id,
        "outcome": verdict.reason.value,
        "message": verdict.message,
        "warnings": [] if layer is None else [{"reason": Reason.LAYER_MISSING.value, "message": message}],
    }


def _problems(told: Mapping[str, Any]) -> Iterator[OperationProblem]:
    type_ = told.get("type")
    if not isinstance(type_, str) or type_ not in _TYPES:
        yield OperationProblem("type", f"expected one of {', '.join(_TYPES)}")
        return
    kind, act = _TYPES[type_]
    yield from (
        OperationProblem(name, f"{type_} has no such field")
        for name in sorted(told.keys() - _members(kind, act) - {"type"})
    )
    if act is Act.CREATE:
        yield from _entity_problems(kind, told.get(kind))
        return
    yield from _id_problems(f"{kind}_id", told.get(f"{kind}_id"))
    if act is Act.UPDATE:
        yield from _update_problems(kind, told)
    elif (entity := told.get(kind)) is not None:
        yield from _entity_problems(kind, entity)
        if isinstance(entity, dict) and entity.get("id") != told.get(f"{kind}_id"):
            yield OperationProblem(f"{kind}.id", f"expected the same as {kind}_id")


def _members(kind: str, act: Act) -> set[str]:
    if act is Act.CREATE:
        return {kind}
    if act is Act.UPDATE:
        return {f"{kind}_id", "old_values", "new_values"}
    return {f"{kind}_id", kind} | ({"edges", "children"} if kind == "node" else set())


def _entity_problems(kind: str, told: Any) -> Iterator[OperationProblem]:
    if not isinstance(told, dict):
        yield OperationProblem(kind, "expected an object with the id and the fields")
        return
    yield from _id_problems(f"{kind}.id", told.get("id"))
    yield from _field_problems(kind, kind, {name: value for name, value in told.items() if name != "id"})
    if kind == "edge":
        for name in _ENDS:
            if told.get(name) is None:
                yield OperationProblem(f"{kind}.{name}", "expected the id of a node")


def _update_problems(kind: str, told: Mapping[str, Any]) -> Iterator[OperationProblem]:
    old, new = told.get("old_values"), told.get("new_values")
    if not isinstance(new, dict) or not new:
        yield OperationProblem("new_values", "expected an object with the fields that change")
        new = {}
    yield from _field_problems(kind, "new_values", new)
    for name in ("lineage_id", *_ENDS):
        if name in new and name in ABSENT[KINDS[kind]] and new[name] is None:
            yield OperationProblem(f"new_values.{name}", "cannot be removed")
    if old is None:
        return
    if not isinstance(old, dict):
        yield OperationProblem("old_values", "expected an object with what the fields are now")
        return
    yield from _field_problems(kind, "old_values", {name: value for name, value in old.items() if name in new})
    yield from (OperationProblem(f"old_values.{name}", "does not change") for name in old.keys() - new.keys())


def _field_problems(kind: str, path: str, fields: Mapping[str, Any]) -> Iterator[OperationProblem]:
    for name, value in fields.items():
        if name not in ABSENT[KINDS[kind]]:
            yield OperationProblem(f"{path}.{name}", f"a {kind} has no such field")
        elif value is not None and (message := _unfit(value) or _invalid(name, value)):
            yield OperationProblem(f"{path}.{name}", message)


def _invalid(name: str, value: Any) -> str | None:
    """Return what is wrong with a value, that a document can hold, for the field."""
    if not is_valid(name, value):
        return f"expected {_EXPECTED.get(name, 'text')}"
    return _invalid_id(value) if name in _IDS else None


def _id_problems(path: str, value: Any) -> Iterator[OperationProblem]:
    message = "expected text" if not isinstance(value, str) else _unfit(value) or _invalid_id(value)
    if message:
        yield OperationProblem(path, message)


def _invalid_id(value: str) -> str | None:
    is_long = not 1 <= len(value.encode()) <= MAX_KEY_BYTES
    return f"expected 1 to {MAX_KEY_BYTES} bytes" if is_long else None


def _unfit(value: Any, depth_left: int = MAX_VALUE_DEPTH) -> str | None:
    """Return why no document, or no table, can hold a value."""
    if isinstance(value, str):
        return None if _is_storable(value) else "expected text without NUL and halves of characters"
    if isinstance(value, int | float):
        is_exact = isfinite(value) if isinstance(value, float) else abs(value) <= MAX_EXACT_INTEGER
        return None if is_exact else "expected a number that a double holds exactly; make it text"
    if not isinstance(value, list | dict):
        return None
    if not depth_left:
        return f"expected values at most {MAX_VALUE_DEPTH} deep"
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    return next((message for part in parts if (message := _unfit(part, depth_left - 1))), None)


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
