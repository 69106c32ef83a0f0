"""Rows as frozen objects: what the store hands out and takes in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from persistence.document import DocumentUpdate
from persistence.replay_records import GraphBase, PlanRecord, ReplayRecord

SYSTEM_USER_ID = UUID("00000000-0000-7000-8000-000000000001")
"""Owns what no person did."""

ANONYMOUS_USER_ID = UUID("00000000-0000-7000-8000-000000000002")
"""Whoever uses a server that is open, or its command line; admin of EVERYONE_GROUP_ID."""

EVERYONE_GROUP_ID = UUID("00000000-0000-7000-8000-000000000003")

GraphType = Literal["data", "reference", "computed", "plan", "chain"]

RoleName = Literal["admin", "member", "viewer"]


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in one graph that a token gives by itself."""

    graph_id: UUID
    role: RoleName


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request reads and writes: row level security lets it no further than `user_id` may.

    With a `grant` no group counts, only that. One that is everywhere is the operator of the machine: anybody on a
    server that is open, and its command line.
    """

    user_id: UUID
    grant: Grant | None = None
    is_everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """A group's folder of graphs; `role` is what the caller is there."""

    id: UUID
    name: str
    description: str | None
    group_id: UUID
    created_at: datetime
    updated_at: datetime
    role: RoleName


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph's own row, without its document; `role` is what the caller is there."""

    id: UUID
    project_id: UUID
    name: str
    description: str | None
    graph_type: GraphType
    parent_graph_id: UUID | None
    created_at: datetime
    updated_at: datetime
    role: RoleName


@dataclass(frozen=True, slots=True)
class BinnedProject(Project):
    """A project in the bin, since `deleted_at`."""

    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class BinnedGraph(Graph):
    """A graph in the bin of its project, since `deleted_at`."""

    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a new graph comes from.

    `event_type` is that of its first event, which carries `details` beside the row's own values;
    `parent_graph_id` is the graph that it is a copy of. With a `base` its first updates are what that says: no edits.
    """

    event_type: str = "graph.created"
    details: Mapping[str, Any] = field(default_factory=dict)
    parent_graph_id: UUID | None = None
    base: GraphBase | None = None


@dataclass(frozen=True, slots=True)
class Retitle:
    """A new name and description; a `name` of None keeps the old one."""

    name: str | None
    description: str | None
    keep_description: bool


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something done, on its way into `events`: `payload` is a JSON object, `stream_id` the entity it was done to."""

    stream_id: UUID
    event_type: str
    payload: Mapping[str, Any]
    user_id: UUID
    project_id: UUID | None


Record = NewEvent | ReplayRecord | PlanRecord
"""What is stored in one transaction with operations that the server makes itself."""


@dataclass(frozen=True, slots=True)
class ServerEdit:
    """A change that the server makes for somebody.

    `updates` are in order, each at most MAX_UPDATE_BYTES unless one entity is larger; none means that there is
    nothing to change. `summary`, a JSON object, goes into the event that tells of it, and back to whoever asked.
    `record` is stored with the updates, and also if there are none.
    """

    updates: tuple[DocumentUpdate, ...]
    summary: Mapping[str, Any]
    record: ReplayRecord | PlanRecord | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done; `version` counts from 1 within its stream."""

    id: int
    stream_id: UUID
    version: int
    event_type: str
    payload: Mapping[str, Any]
    user_id: UUID
    project_id: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """What a project is, as it is moved to another database."""

    id: UUID
    name: str
    description: str | None
    plan_dag: Mapping[str, Any]
    plan_dag_version: str
    rules: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GraphRow:
    """What a graph is without its document, as it is moved to another database."""

    id: UUID
    name: str
    description: str | None
    graph_type: GraphType
    parent_graph_id: UUID | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UnpackedGraph:
    """A graph of an archive under its new id, and the updates that make its document.

    `archived_id` is the id it had; those of `pending` wait for updates that never came.
    """

    row: GraphRow
    archived_id: UUID
    updates: tuple[DocumentUpdate, ...]
    pending: tuple[DocumentUpdate, ...]


class Operation(NamedTuple):
    """One accepted update on its way into `crdt_operations`; all but `settles` are its columns, in their order.

    `update` is the raw Yjs v1 update as it was received. `vector_clock` is JSON text
    `{client id: clock after}` of the clients it advances. `client_id` is the first of them,
    or the session's last known one for a pure delete, or empty. `applied_at` is None while
    the operation waits for one it depends on. `settles` are the raw updates of earlier
    pending operations that this one made applicable.
    """

    graph_id: UUID
    update: bytes
    vector_clock: str
    user_id: UUID
    session_id: str
    client_id: str
    created_at: datetime
    applied_at: datetime | None
    settles: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class QuarantinedOperation:
    """A row of the log that is left out of its graph: who sent it, when, and why it is left out."""

    operation_id: int
    graph_id: UUID
    reason: str
    quarantined_at: datetime
    user_id: UUID
    session_id: str
    client_id: str
    created_at: datetime
    size_bytes: int
    data: bytes
