"""Rows of `audit_log`: sign-ins, refusals, grants and exports. Only ever added to, until retention."""

import asyncpg

from persistence.people_records import AuditEntry

_MAX_USER_AGENT_CHARACTERS = 500

APPEND = """
    INSERT INTO audit_log (action, outcome, reason, user_id, group_id, graph_id, details, address, user_agent)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def append_audit(connection: asyncpg.Connection, entry: AuditEntry) -> None:
    """Add `entry`, in the transaction of the act it tells of. A long user agent is cut."""
    await connection.execute(
        APPEND,
        entry.action,
        entry.outcome,
        entry.reason,
        entry.user_id,
        entry.group_id,
        entry.graph_id,
        entry.details,
        entry.address,
        entry.user_agent and entry.user_agent[:_MAX_USER_AGENT_CHARACTERS],
    )
