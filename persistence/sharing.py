"""Rows of `graph_roles` and `share_links`: what people are in one graph, and links into it."""

from uuid import UUID

from persistence.audit import append_audit
from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.group_records import GraphAccess, GraphRoleName, NewShareLink, ShareLink
from persistence.groups import BUILT_IN_USERS
from persistence.people_records import AuditEntry
from persistence.records import Caller


class GraphRoles:
    """Who may do what in a graph, for those who manage it. Changes take the entry that the audit log has of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    LIST = """
        SELECT u.id AS user_id, u.username, coalesce(u.full_name, u.username) AS name,
            CASE WHEN m.role = 'admin' OR r.role IS NULL THEN m.role ELSE r.role END AS role,
            CASE WHEN m.role = 'admin' OR r.role IS NULL THEN 'group' ELSE 'graph' END AS source
        FROM graphs g JOIN projects p ON p.id = g.project_id
        CROSS JOIN users u
        LEFT JOIN group_memberships m ON m.group_id = p.group_id AND m.user_id = u.id
        LEFT JOIN graph_roles r ON r.graph_id = g.id AND r.user_id = u.id
        WHERE g.id = $1 AND (m.role IS NOT NULL OR r.role IS NOT NULL) AND u.is_active AND u.id <> ALL($2::uuid[])
        ORDER BY lower(u.username)
    """

    async def of_graph(self, graph_id: UUID) -> tuple[GraphAccess, ...]:
        """Return everybody who is something in a graph, or whom it is hidden from, by name.

        As the server itself, so that nobody is missing whom the caller does not know; who asks was authorised before.
        """
        async with self._database.service() as connection:
            rows = await connection.fetch(self.LIST, graph_id, BUILT_IN_USERS)
        return tuple(GraphAccess(**row) for row in rows)

    IS_KNOWN = """
        SELECT (EXISTS (SELECT FROM users WHERE id = $2)
            OR EXISTS (SELECT FROM graph_roles WHERE graph_id = $1 AND user_id = $2)) AND $2 <> ALL($3::uuid[])
    """
    SET = """
        INSERT INTO graph_roles (graph_id, user_id, role, granted_by) VALUES ($1, $2, $3, $4)
        ON CONFLICT (graph_id, user_id) DO UPDATE
        SET role = EXCLUDED.role, granted_by = EXCLUDED.granted_by, granted_at = now()
    """

    async def set(self, caller: Caller, entry: AuditEntry, user_id: UUID, role: GraphRoleName) -> None:
        """Make a person that in the graph `entry.graph_id`. Raises NotFoundError for one whom the caller cannot see."""
        async with self._database.request(caller, entry.graph_id) as connection:
            if not await connection.fetchval(self.IS_KNOWN, entry.graph_id, user_id, BUILT_IN_USERS):
                raise NotFoundError("person", user_id)
            await append_audit(connection, entry)  # first: one may take away what one is by oneself
            await connection.execute(self.SET, entry.graph_id, user_id, role, caller.user_id)

    REMOVE = "DELETE FROM graph_roles WHERE graph_id = $1 AND user_id = $2 RETURNING user_id"

    async def remove(self, caller: Caller, entry: AuditEntry, user_id: UUID) -> None:
        """Let a person be in the graph `entry.graph_id` what they are in its group. Raises NotFoundError."""
        async with self._database.request(caller, entry.graph_id) as connection:
            await append_audit(connection, entry)
            if await connection.fetchval(self.REMOVE, entry.graph_id, user_id) is None:
                raise NotFoundError("person", user_id)


class ShareLinks:
    """Links into graphs. Changes take the entry of the audit log that tells of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    LIST = """
        SELECT id, role, created_at, expires_at FROM share_links
        WHERE graph_id = $1 AND revoked_at IS NULL AND coalesce(expires_at > now(), TRUE) ORDER BY created_at, id
    """

    async def of_graph(self, caller: Caller, graph_id: UUID) -> tuple[ShareLink, ...]:
        """Return the links into a graph that work, oldest first."""
        async with self._database.request(caller, graph_id) as connection:
            rows = await connection.fetch(self.LIST, graph_id)
        return tuple(ShareLink(**row) for row in rows)

    CREATE = """
        INSERT INTO share_links (id, graph_id, role, token_hash, expires_at, created_by)
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING id, role, created_at, expires_at
    """

    async def create(self, caller: Caller, entry: AuditEntry, new: NewShareLink) -> ShareLink:
        """Store a link and return it."""
        values = (new.id, new.graph_id, new.role, new.token_hash, new.expires_at)
        async with self._database.request(caller, new.graph_id) as connection:
            row = await connection.fetchrow(self.CREATE, *values, caller.user_id)
            await append_audit(connection, entry)
        assert row is not None
        return ShareLink(**row)

    GRAPH = "SELECT graph_id FROM share_links WHERE id = $1"

    async def graph_of(self, caller: Caller, link_id: UUID) -> UUID:
        """Return the graph that a link leads into. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            graph_id: UUID | None = await connection.fetchval(self.GRAPH, link_id)
        if graph_id is None:
            raise NotFoundError("share link", link_id)
        return graph_id

    REVOKE = "UPDATE share_links SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id"

    async def revoke(self, caller: Caller, entry: AuditEntry, link_id: UUID) -> None:
        """Let a link lead nowhere. Raises NotFoundError if it does not any more."""
        async with self._database.request(caller, entry.graph_id) as connection:
            if await connection.fetchval(self.REVOKE, link_id) is None:
                raise NotFoundError("share link", link_id)
            await append_audit(connection, entry)
