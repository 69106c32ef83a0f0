"""Rows of `audit_log`: sign-ins, refusals, grants and exports. Only ever added to, until they are too old."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.group_records import AuditRow
from persistence.people_records import AuditEntry
from persistence.records import Caller

PAGE_ENTRIES = 2_000
"""How many old entries one transaction deletes at most."""

APPEND = """
    INSERT INTO audit_log (action, outcome, user_id, reason, group_id, graph_id, details, address, user_agent)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::inet, left($9, 500))
"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry about something that was refused; its group is that of its graph or of `project_id`, if it has none."""

    entry: AuditEntry
    project_id: UUID | None = None


async def append_audit(connection: asyncpg.Connection, entry: AuditEntry) -> None:
    """Add `entry` in the transaction of `connection`, that of the act it tells of."""
    await connection.execute(APPEND, *_values(entry))


class AuditLog:
    """The audit log, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entry: AuditEntry) -> None:
        """Add an entry about what changes nothing in the database, such as an export."""
        async with self._database.service() as connection:
            await append_audit(connection, entry)

    APPEND_REFUSAL = """
        INSERT INTO audit_log (action, outcome, user_id, reason, group_id, graph_id, details, address, user_agent)
        SELECT $1, $2, $3, $4, coalesce($5, p.group_id), about.graph_id, $7, $8::text::inet, left($9, 500)
        FROM (SELECT $6::uuid AS graph_id) AS about
        LEFT JOIN graphs g ON g.id = about.graph_id AND g.deleted_at IS NULL
        LEFT JOIN projects p ON p.id = coalesce(g.project_id, $10) AND p.deleted_at IS NULL
        WHERE about.graph_id IS NULL OR (g.id IS NOT NULL AND p.id IS NOT NULL)
    """

    async def append_refusals(self, refusals: Sequence[Refusal]) -> None:
        """Add entries, without those about a graph that is not there."""
        values = [(*_values(refusal.entry), refusal.project_id) for refusal in refusals]
        async with self._database.service() as connection:
            await connection.executemany(self.APPEND_REFUSAL, values)

    READ = """
        SELECT a.id, a.action, a.outcome, a.reason, a.user_id, u.username, a.group_id, a.graph_id, a.details,
            host(a.address) AS address, a.user_agent, a.created_at
        FROM audit_log a LEFT JOIN users u ON u.id = a.user_id
        WHERE ($1::uuid IS NULL OR a.group_id = $1) AND ($2::bigint IS NULL OR a.id < $2)
        ORDER BY a.id DESC LIMIT $3
    """

    async def page(self, caller: Caller, group_id: UUID | None, before: int | None, limit: int) -> tuple[AuditRow, ...]:
        """Return the newest `limit` entries, of one group or all that the caller may see, older than `before`."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.READ, group_id, before, limit)
        return tuple(AuditRow(**row) for row in rows)

    PRUNE = """
        WITH page AS (
            SELECT id FROM audit_log WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2
        ), deleted AS (
            DELETE FROM audit_log a USING page WHERE a.id = page.id RETURNING a.id
        )
        SELECT count(*) FROM deleted
    """

    async def prune(self, older_than: timedelta) -> int:
        """Delete the entries older than that, page by page, each in a transaction of its own; return how many."""
        deleted, page = 0, PAGE_ENTRIES
        while page == PAGE_ENTRIES:
            async with self._database.service() as connection:
                page = await connection.fetchval(self.PRUNE, older_than, PAGE_ENTRIES)
            deleted += page
        return deleted


def _values(entry: AuditEntry) -> tuple[object, ...]:
    about = (entry.reason, entry.group_id, entry.graph_id, entry.details)
    return (entry.action, entry.outcome, entry.user_id, *about, entry.address, entry.user_agent)
