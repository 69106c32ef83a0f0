"""Two groups with the same names of everything, rows in every table, and who should see which of them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from persistence.records import ANONYMOUS_USER_ID, Caller, Grant

SOON = datetime.now(UTC) + timedelta(days=1)
KEYS = """
    SELECT attname FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
    WHERE contype = 'p' AND conrelid = $1::regclass ORDER BY attnum
"""

EMPTY = b'{"nodes": [], "edges": [], "layers": []}'
DELETION = '{"type": "node_delete", "node_id": "n", "node": {"id": "n"}, "edges": [], "children": []}'

HASH = "0" * 64
IN_THE_GROUP = ("admin", "member", "viewer", "hidden")
"""`hidden` is a member from whom one graph is hidden."""
READERS = ("admin", "member", "viewer", "shared", "guest", "backend")
"""Of the first graph: `shared` by graph_roles, `guest` by a share link, `backend` by a token of another issuer."""
PEOPLE = (*IN_THE_GROUP, "shared", "backend", "disabled")
"""`disabled` was a member."""


@dataclass
class Group:
    """A group's rows by table: the key of each as text, and the people who see it, by name."""

    id: UUID
    people: dict[str, UUID]
    project: UUID
    graph: UUID
    second_graph: UUID
    rows: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)

    def caller(self, name: str) -> Caller:
        """Return on whose behalf somebody of the group asks."""
        if name == "guest":
            return Caller(ANONYMOUS_USER_ID, Grant(self.graph, "viewer"))
        if name == "backend":
            return Caller(self.people["backend"], Grant(self.graph, "admin"))
        return Caller(self.people[name])

    def seen_by(self, name: str, table: str) -> set[str]:
        """Return the keys of the rows that somebody should see."""
        return {key for key, names in self.rows.get(table, {}).items() if name in names}


async def key_of(connection: asyncpg.Connection, table: str) -> str:
    """Return SQL for the key of a table's row as text."""
    names = [row["attname"] for row in await connection.fetch(KEYS, table)]
    return f"concat_ws(' ', {', '.join(names)})"


@dataclass
class Filling:
    """Adds rows to a group as the owner of the database."""

    owner: asyncpg.Connection
    group: Group

    async def add(self, table: str, seen_by: Iterable[str], **values: Any) -> str:
        """Add a row that these people see; return its key."""
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        key = await self.owner.fetchval(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places}) RETURNING {await key_of(self.owner, table)}",
            *values.values(),
        )
        self.group.rows.setdefault(table, {})[key] = frozenset(seen_by)
        return str(key)

    async def everything(self) -> None:
        """Add rows to every table."""
        await self._people()
        await self._graphs()
        await self._rights()
        await self._content()
        await self._log()
        await self._plan()

    async def _people(self) -> None:
        group = self.group
        await self.add("groups", (*IN_THE_GROUP, "chief"), id=group.id, name="Bridge")
        for name, user_id in group.people.items():
            companions = IN_THE_GROUP if name in {*IN_THE_GROUP, "disabled"} else ()
            seen_by = {*companions, "chief", name} - {"disabled"}
            await self.add(
                "users", seen_by, id=user_id, username=f"{name} {user_id}", full_name=name, is_active=name != "disabled"
            )
            if companions:
                role = {"admin": "admin", "viewer": "viewer"}.get(name, "member")
                seen_by = {*IN_THE_GROUP, "chief"}
                await self.add("group_memberships", seen_by, group_id=group.id, user_id=user_id, role=role)
            await self._account(user_id, {name} - {"disabled", "backend"})

    async def _account(self, user_id: UUID, seen_by: Collection[str]) -> None:
        session_id = uuid4()
        await self.add(
            "sessions", seen_by, id=session_id, user_id=user_id, refresh_token_hash=unique(), expires_at=SOON,
            access_expires_at=SOON,
        )  # fmt: skip
        await self.add("spent_refresh_tokens", (), token_hash=unique(), session_id=session_id)
        await self.add(
            "oauth_tokens", seen_by, id=uuid4(), user_id=user_id, access_token_hash=unique(), expires_at=SOON,
            client_id="agent",
        )  # fmt: skip
        await self.add(
            "personal_access_tokens", seen_by, id=uuid4(), user_id=user_id, name="script", token_hash=unique(),
            scopes=["read"],
        )  # fmt: skip

    async def _graphs(self) -> None:
        group, admin = self.group, self.group.people["admin"]
        await self.add("projects", IN_THE_GROUP, id=group.project, name="River", group_id=group.id, created_by=admin)
        await self.add("graphs", READERS, id=group.graph, project_id=group.project, name="Deck")
        await self.add("graphs", IN_THE_GROUP, id=group.second_graph, project_id=group.project, name="Deck")

    async def _rights(self) -> None:
        group, admin = self.group, self.group.people["admin"]
        managers = {"admin", "backend"}
        for name, role in (("hidden", "none"), ("shared", "member")):
            person = group.people[name]
            values = {"graph_id": group.graph, "user_id": person, "role": role, "granted_by": admin}
            await self.add("graph_roles", {*managers, name}, **values)
        await self.add(
            "share_links", managers, id=uuid4(), graph_id=group.graph, role="viewer", token_hash=unique(),
            created_by=admin,
        )  # fmt: skip
        await self.add(
            "invitations", ("admin", "chief"), id=uuid4(), group_id=group.id, role="viewer", token_hash=unique(),
            created_by=admin, expires_at=SOON,
        )  # fmt: skip
        details = {"user_id": admin, "group_id": group.id, "graph_id": group.graph}
        await self.add("audit_log", ("admin", "chief"), action="graph.shared", outcome="done", **details)
        await self.add("sign_in_throttles", (), key=unique(), level=1.0, updated_at=SOON)
        await self.add("signing_keys", (), id=uuid4(), secret=unique())

    async def _content(self) -> None:
        for graph_id, readers in ((self.group.graph, READERS), (self.group.second_graph, IN_THE_GROUP)):
            there = {"graph_id": graph_id, "lineage_id": UUID(int=1)}
            await self.add("nodes", readers, node_id="n", label="Pier", **there)
            await self.add("edges", readers, edge_id="e", source_node_id="n", target_node_id="n", **there)
            await self.add("layers", readers, layer_id="l", name="Steel", **there)

    async def _log(self) -> None:
        group, admin = self.group, self.group.people["admin"]
        editors = ("admin", "member", "shared", "backend")
        for graph_id, readers, writers in (
            (group.graph, READERS, editors),
            (group.second_graph, IN_THE_GROUP, ("admin", "member", "hidden")),
        ):
            said = {"operation_data": b"\0\0", "vector_clock": "{}", "session_id": "s", "client_id": "1"}
            operation = await self.add("crdt_operations", readers, graph_id=graph_id, user_id=admin, **said)
            quarantined = {"operation_id": int(operation), "graph_id": graph_id, "reason": "bad"}
            await self.add("quarantined_operations", readers, **quarantined)
            saved = {"through_id": int(operation), "state": b"\0\0", "vector": b"\0", "label": "Mark"}
            await self.add(
                "graph_checkpoints", readers, id=uuid4(), graph_id=graph_id, created_by=admin, **saved
            )  # fmt: skip
            await self._history(graph_id, readers, writers)
            await self._replay(graph_id, readers)
            await self.add("graph_leases", (), graph_id=graph_id, node_id=uuid4())
        await self._history(group.project, IN_THE_GROUP, ("admin", "member", "hidden"))
        await self.add("crdt_flushes", (), flush_id=uuid4())

    async def _history(self, stream_id: UUID, readers: Collection[str], writers: Collection[str]) -> None:
        await self.add("event_streams", writers, stream_id=stream_id, last_version=1)
        await self.add(
            "events", readers, stream_id=stream_id, version=1, event_type="graph.edited", payload="{}",
            user_id=self.group.people["admin"], project_id=self.group.project,
        )  # fmt: skip

    async def _replay(self, graph_id: UUID, readers: Collection[str]) -> None:
        admin, hashes = self.group.people["admin"], {"dag_state_hash": HASH, "data_digest": HASH}
        await self.add("graph_bases", readers, graph_id=graph_id, content=EMPTY, plan_node_id="n", **hashes)
        await self.add("graph_clients", (), graph_id=graph_id, client_id="1", user_id=admin)
        said = {"operation_type": "node_delete", "entity_id": "n", "operation_data": DELETION, "context_data": "{}"}
        told = {"dag_state_hash": HASH, "applicability_signature": HASH[:16]}
        through = {"first_operation_id": 1, "last_operation_id": 1}
        await self.add(
            "manual_edits",
            readers,
            id=uuid4(),
            graph_id=graph_id,
            number=1,
            created_by=admin,
            **said,
            **told,
            **through,
        )
        outcome = {"applied_edits": "[]", "failed_edits": "[]", "inapplicable_edits": "[]"}
        await self.add(
            "edit_replay_summaries", readers, id=uuid4(), graph_id=graph_id, cause="request", **outcome, **hashes
        )

    async def _plan(self) -> None:
        project, admin, execution_id = {"project_id": self.group.project}, self.group.people["admin"], uuid4()
        read = {"name": f"{uuid4()}.csv", "format": "csv", "content": b"id", "digest": HASH, "row_count": 0}
        await self.add("project_inputs", IN_THE_GROUP, uploaded_by=admin, **project, **read)
        await self.add("plan_results", (), node_id="n", result_key=HASH, content=b"{}", **project)
        ran = {"execution_type": "manual", "plan_dag_snapshot": "{}", "status": "completed"}
        ended = {"completed_at": datetime.now(UTC)}
        await self.add("plan_executions", IN_THE_GROUP, id=execution_id, **project, **ran, **ended)
        for graph_id, readers in ((self.group.graph, READERS), (None, IN_THE_GROUP)):
            made = {"execution_id": execution_id, "format": "DOT", "output_path": "deck.dot", "status": "pending"}
            await self.add("export_operations", readers, id=uuid4(), graph_id=graph_id, **made)


def unique() -> bytes:
    """Return what may stand for a SHA-256."""
    return uuid4().bytes + uuid4().bytes


@dataclass(frozen=True)
class TwoGroups:
    """What is in the database, and an admin of the installation (`chief`) who is in neither group."""

    mine: Group
    theirs: Group
    chief: UUID


async def fill(url: str) -> TwoGroups:
    """Fill a migrated database."""
    owner = await asyncpg.connect(url)
    try:
        groups = []
        for _ in range(2):
            people = {name: uuid4() for name in PEOPLE}
            groups.append(Group(uuid4(), people, uuid4(), uuid4(), uuid4()))
            await Filling(owner, groups[-1]).everything()
        chief = uuid4()
        await owner.execute("INSERT INTO users (id, username, role) VALUES ($1, 'chief', 'admin')", chief)
    finally:
        await owner.close()
    return TwoGroups(*groups, chief)
