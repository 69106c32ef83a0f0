"""What a project says of replays, in `projects.rules` under `replay`."""

from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.events import append_event
from persistence.records import Caller, NewEvent
from persistence.replay_records import ReplayRules


class StoredReplayRules:
    """The rules of projects; what one does not say is the default."""

    def __init__(self, database: Database) -> None:
        self._database = database

    READ = "SELECT coalesce(rules -> 'replay', '{}') AS replay FROM projects WHERE id = $1 AND deleted_at IS NULL"

    async def read(self, caller: Caller, project_id: UUID) -> ReplayRules:
        """Return the rules of a project. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            return _rules(await connection.fetchrow(self.READ, project_id), project_id)

    # Two statements: whoever changes rules waits for whoever does, and sees what that one left.
    LOCK = """
        SELECT coalesce(rules -> 'replay', '{}') AS replay FROM projects WHERE id = $1 AND deleted_at IS NULL
        FOR NO KEY UPDATE
    """
    CHANGE = """
        UPDATE projects SET rules = rules || jsonb_build_object('replay', coalesce(rules -> 'replay', '{}') || $2)
        WHERE id = $1 RETURNING rules -> 'replay' AS replay
    """

    async def change(
        self, caller: Caller, project_id: UUID, automatic: bool | None, conflicts: str | None
    ) -> ReplayRules:
        """Change those rules that are given, with an event, and return all. Raises NotFoundError."""
        changes = {"automatic": automatic, "conflicts": conflicts}
        given = {name: value for name, value in changes.items() if value is not None}
        async with self._database.request(caller) as connection:
            old = _rules(await connection.fetchrow(self.LOCK, project_id), project_id)
            new = _rules(await connection.fetchrow(self.CHANGE, project_id, given), project_id)
            if new != old:
                payload = {"old": _told(old), "new": _told(new)}
                event = NewEvent(project_id, "project.replay_rules_changed", payload, caller.user_id, project_id)
                await append_event(connection, event)
        return new


def _rules(row: asyncpg.Record | None, project_id: UUID) -> ReplayRules:
    if row is None:
        raise NotFoundError("project", project_id)
    return ReplayRules(**{name: row["replay"][name] for name in ReplayRules.__slots__ if name in row["replay"]})


def _told(rules: ReplayRules) -> dict[str, object]:
    return {"automatic": rules.automatic, "conflicts": rules.conflicts}
