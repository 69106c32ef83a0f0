"""What the store keeps of plans, manual edits and replays, as frozen objects.

What can be large (a base, the edits of a graph, the outcome of a replay) is JSON in bytes: it goes from the database to
a worker process and back without anybody else making objects of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

ConflictPolicy = Literal["mine", "theirs", "ask"]

ReplayCause = Literal["plan", "request", "parent", "edits"]
"""Why a graph was rebuilt: its plan or data changed, somebody asked, its parent changed, its list of edits changed."""

REPLAY_SESSION_ID = "replay"
"""Stands where the session would be for operations that make a graph what its base and its edits say: no edits."""


@dataclass(frozen=True, slots=True)
class GraphBase:
    """What a plan, or the parent of a copy, makes of a graph before people edit it.

    `content` is JSON `{nodes, edges, layers}`; `dag_state_hash` and `data_digest` are 64 hex digits: what the plan
    says, and what data it said it of. `plan_node_id` is None for a copy.
    """

    content: bytes
    dag_state_hash: str
    data_digest: str
    plan_node_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """A replay on its way into the store, in one transaction with the operations it makes.

    `through` is the last operation whose edits were replayed. JSON: `outcomes` is an object `{applied: [id],
    already_applied: [id], conflicts: [{edit_id, reason, message, fields, settled}], failed: [{edit_id, reason,
    message}], inapplicable: [the same], warnings: [the same]}`; `removed` a list of `{root, id, fields}`, entities that
    went with all they held; `rebased` a list of `{id, operation_data, signature}`, edits that upstream's new values are
    the old ones of. `deactivated` tells why, by edit.
    """

    id: UUID
    graph_id: UUID
    base: GraphBase
    cause: ReplayCause
    execution_id: UUID | None
    triggered_by: UUID
    through: int
    outcomes: bytes
    removed: bytes
    rebased: bytes
    deactivated: Mapping[UUID, str]


@dataclass(frozen=True, slots=True)
class ManualEdit:
    """One edit of a graph that has a base; `operation_data` is a `replay.operations.EditOperation` as JSON."""

    id: UUID
    graph_id: UUID
    number: int
    operation_type: str
    entity_id: str
    operation_data: Mapping[str, Any]
    context_data: Mapping[str, Any]
    dag_state_hash: str
    applicability_signature: str
    is_active: bool
    is_open_conflict: bool
    last_applied_at: datetime | None
    deactivated_at: datetime | None
    deactivation_reason: str | None
    created_by: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OpenConflict:
    """An edit that somebody has to settle, and what the newest replay told of it; `fields` as in `ReplayRecord`."""

    edit: ManualEdit
    reason: str
    message: str
    fields: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ReplayInputs:
    """What a graph is rebuilt of, as of one moment.

    `edits` is JSON `[{id, number, operation_data, applicability_signature}]`, the active ones up to the operation
    `through`, in order of number; `removed` JSON `[{root, id, fields}]`, what replays removed whole, the newest last.
    """

    base: GraphBase
    parent_graph_id: UUID | None
    through: int
    edits: bytes
    removed: bytes
    policy: ConflictPolicy


@dataclass(frozen=True, slots=True)
class CapturePosition:
    """How far the log of a graph is committed, and up to where its manual edits are captured: ids of operations."""

    committed: int
    captured: int


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """A replay in a list: what it was for, and how many edits it did what with."""

    id: UUID
    cause: ReplayCause
    replay_timestamp: datetime
    dag_state_hash: str
    data_digest: str
    triggered_by: UUID | None
    execution_id: UUID | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ReplayRules:
    """What a project says of replays: whether they follow changes by themselves, and who wins a conflict."""

    automatic: bool = True
    conflicts: ConflictPolicy = "mine"


@dataclass(frozen=True, slots=True)
class Author:
    """Who brought an operation into the log: their session, the client they named, and when."""

    user_id: UUID
    session_id: str
    client_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CapturedEdit:
    """An edit as the follower makes it: active, or not for a `reason`. JSON as in `ManualEdit`."""

    id: UUID
    number: int
    operation_type: str
    entity_id: str
    operation_data: Mapping[str, Any]
    context_data: Mapping[str, Any]
    dag_state_hash: str
    applicability_signature: str
    is_open_conflict: bool
    first_operation_id: int
    last_operation_id: int
    created_by: UUID
    created_at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEdits:
    """What edits of a graph are captured from: its base, the active edits in order, and whose each Yjs client is.

    The edits of all operations up to `through` are captured; `last_number` is that of the last edit, active or not.
    `base` is JSON `{nodes, edges, layers}`. Whoever changes any of it but for `through` raises `version`.
    """

    version: int
    through: int
    dag_state_hash: str
    base: bytes
    last_number: int
    edits: Sequence[CapturedEdit]
    clients: Mapping[str, UUID]


@dataclass(frozen=True, slots=True)
class EditStep:
    """What becomes of a graph's edits in one step of the follower, if they are of the `version` that it knew.

    `clients` are those that edited for the first time; `unseen` JSON objects, operations that changed nothing.
    """

    version: int
    inserted: Sequence[CapturedEdit]
    changed: Sequence[CapturedEdit]
    clients: Mapping[str, UUID]
    unseen: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """What a project's plan becomes, on its way into the store with the operations that make its live document so.

    `plan_dag` is the plan as JSON in bytes.
    """

    project_id: UUID
    plan_dag: bytes
    plan_dag_version: str


InputFormat = Literal["csv", "tsv", "json"]


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A project's plan as it is stored, and the graph whose document it is; None as long as there is no such graph.

    `plan_dag` is what `replay.plan.Plan.to_json` tells, or what an older version stored.
    """

    project_id: UUID
    plan_dag: Mapping[str, Any]
    plan_dag_version: str
    plan_graph_id: UUID | None


@dataclass(frozen=True, slots=True)
class StoredInput:
    """An input of a project without its content; `digest` is the SHA-256 of that, 64 hex digits."""

    name: str
    format: InputFormat
    digest: str
    rows: int
    size_bytes: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class InputContent:
    """An input as it was uploaded."""

    name: str
    format: InputFormat
    digest: str
    rows: int
    content: bytes
