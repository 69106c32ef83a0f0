"""A graph is rebuilt: its base and its edits become what its document holds, by edits in place.

Pure. These functions take long for large graphs: a server runs them in a worker process.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from pycrdt import Doc

from persistence.document import GraphContent, read_edge, read_layer, read_node
from persistence.document_edits import Change
from persistence.records import ServerEdit
from persistence.replay_records import ConflictPolicy, GraphBase, ReplayCause, ReplayRecord
from replay.applicability import CONFLICTS, INAPPLICABLE, Reason
from replay.difference import Difference, Removed, difference
from replay.engine import NumberedEdit, Outcome, Replayed, replay
from replay.hashing import SHOWN_DIGITS
from replay.operations import entity_json, read_operation, value_of

PREVIEWED_CHANGES = 200
"""How many changes a preview tells one by one; it counts all."""

_APPLIED = ("applied", "already_applied")

_PREVIEW_CLIENT_ID = 1


@dataclass(frozen=True, slots=True)
class RebuildRequest:
    """All that the rebuild of one graph depends on, but for its document.

    JSON: `edits` is a list `[{id, number, operation_data, applicability_signature}]` of the active edits up to the
    operation `through`, in order of number; `removed` a list of `{root, id, fields}`, what earlier replays removed
    whole, the newest last.
    """

    replay_id: UUID
    graph_id: UUID
    base: GraphBase
    cause: ReplayCause
    execution_id: UUID | None
    triggered_by: UUID
    through: int
    edits: bytes
    policy: ConflictPolicy
    removed: bytes


def rebuild(request: RebuildRequest, document: bytes, client_id: int) -> ServerEdit:
    """Make the edit by which `document`, one update, holds what base and edits make of the graph (a `Build`).

    Without updates it holds that already; the record of the replay comes either way.
    """
    doc: Doc[Any] = Doc(client_id=client_id)
    doc.apply_update(document)
    replayed = _replayed(request)
    wanted = _difference(request, doc, replayed)
    updates = tuple(wanted.make(doc))
    summary = {
        "replay_id": str(request.replay_id),
        **_counts(replayed, wanted),
        "updates": len(updates),
    }
    return ServerEdit(updates, summary, _record(request, replayed, wanted))


def preview(request: RebuildRequest, document: bytes) -> bytes:
    """Return JSON of what `rebuild` would do: `{dag_state_hash, counts, conflicts, failed, inapplicable, warnings}`.

    And `entities`, how many are added, changed and deleted, and the first PREVIEWED_CHANGES of those `changes`.
    """
    doc: Doc[Any] = Doc(client_id=_PREVIEW_CLIENT_ID)
    doc.apply_update(document)
    replayed = _replayed(request)
    wanted = _difference(request, doc, replayed)
    acts = (("added", wanted.comes), ("changed", wanted.stays), ("deleted", wanted.goes))
    told = {
        "dag_state_hash": request.base.dag_state_hash[:SHOWN_DIGITS],
        "counts": _counts(replayed, wanted),
        **{kind: outcomes for kind, outcomes in _outcomes(replayed).items() if kind not in _APPLIED},
        "entities": {act: Counter(change.root for change in changes) for act, changes in acts},
        "changes": [_change_json(change) for change in wanted.changes[:PREVIEWED_CHANGES]],
    }
    return orjson.dumps(told)


def read_graph(graph_id: UUID, told: bytes) -> GraphContent:
    """Return the graph that `orjson.dumps` wrote; each part sorted by id, as it was."""
    parts = orjson.loads(told)
    return GraphContent(
        nodes=tuple(read_node(graph_id, one["id"], one) for one in parts["nodes"]),
        edges=tuple(read_edge(graph_id, one["id"], one) for one in parts["edges"]),
        layers=tuple(read_layer(one["id"], one) for one in parts["layers"]),
    )


def _replayed(request: RebuildRequest) -> Replayed:
    base = read_graph(request.graph_id, request.base.content)
    return replay(base, tuple(_read_edits(request.graph_id, request.edits)), request.policy)


def _read_edits(graph_id: UUID, told: bytes) -> Iterator[NumberedEdit]:
    for one in orjson.loads(told):
        operation = read_operation(graph_id, one["operation_data"])
        yield NumberedEdit(UUID(one["id"]), one["number"], operation, one["applicability_signature"])


def _difference(request: RebuildRequest, doc: Doc[Any], replayed: Replayed) -> Difference:
    removed = [Removed(one["root"], one["id"], one["fields"]) for one in orjson.loads(request.removed)]
    return difference(doc, request.graph_id, replayed.content, removed)


def _counts(replayed: Replayed, wanted: Difference) -> dict[str, int]:
    return {kind: len(told) for kind, told in _outcomes(replayed).items()} | {"removed": len(wanted.removed)}


def _record(request: RebuildRequest, replayed: Replayed, made: Difference) -> ReplayRecord:
    rebased = [
        {"id": one.id, "operation_data": one.operation.to_json(), "signature": one.signature}
        for one in replayed.rebased
    ]
    return ReplayRecord(
        id=request.replay_id,
        graph_id=request.graph_id,
        base=request.base,
        cause=request.cause,
        execution_id=request.execution_id,
        triggered_by=request.triggered_by,
        through=request.through,
        outcomes=orjson.dumps(_outcomes(replayed)),
        removed=orjson.dumps(made.removed, option=orjson.OPT_SORT_KEYS),
        rebased=orjson.dumps(rebased),
        deactivated=replayed.deactivated,
    )


def _outcomes(replayed: Replayed) -> dict[str, list[Any]]:
    """Return what became of the edits as the record tells it; each is in one list."""
    told: dict[str, list[Any]] = {kind: [] for kind in (*_APPLIED, "conflicts", "failed", "inapplicable")}
    for outcome in replayed.outcomes:
        told[_kind(outcome.reason)].append(_outcome_json(outcome))
    warnings = [{"edit_id": one.edit_id, "reason": one.reason, "message": one.message} for one in replayed.warnings]
    return told | {"warnings": warnings}


def _kind(reason: Reason) -> str:
    if reason in (Reason.APPLIED, Reason.ALREADY_APPLIED):
        return reason.value
    if reason in CONFLICTS:
        return "conflicts"
    return "inapplicable" if reason in INAPPLICABLE else "failed"


def _outcome_json(outcome: Outcome) -> Any:
    if outcome.reason in (Reason.APPLIED, Reason.ALREADY_APPLIED):
        return outcome.edit_id
    told = {"edit_id": outcome.edit_id, "reason": outcome.reason, "message": outcome.message}
    if outcome.reason in CONFLICTS:
        return told | {"fields": outcome.fields, "settled": outcome.is_settled}
    return told


def _change_json(change: Change) -> dict[str, Any]:
    told: dict[str, Any] = {"root": change.root, "id": change.id}
    before, after = change.before, change.after
    if before is None or after is None:
        return told | {
            part: entity_json(one) for part, one in (("before", before), ("after", after)) if one is not None
        }
    names = change.fields()
    return told | {
        part: {name: value_of(one, name) for name in names} for part, one in (("before", before), ("after", after))
    }
