"""What the store keeps of plans, manual edits and replays, as frozen objects.

What can be large (a base, the edits of a graph, the outcome of a replay) is JSON in bytes: it goes from the database to
a worker process and back without anybody else making objects of it.
"""

from collections.abc import Mapping
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
    last_applied_at: datetime | None
    deactivated_at: datetime | None
    deactivation_reason: str | None
    created_by: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """What a project's plan becomes, on its way into the store with the operations that make its live document so.

    `plan_dag` is the plan as JSON in bytes.
    """

    project_id: UUID
    plan_dag: bytes
    plan_dag_version: str
