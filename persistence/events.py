"""Rows of `events`: what was done to projects and graphs, and by whom. Only ever added to.

Each is appended in the transaction of the act it tells of, after the rows of that act, so that everyone who appends
to a stream locks in the same order: first the entity, then its row in `event_streams`.
"""

from collections.abc import Iterator
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.records import Caller, Event, Graph, NewEvent, Project

MONTHS_AHEAD = 3
"""For how many months after this one partitions are made."""

APPEND = """
    WITH stream AS (
        INSERT INTO event_streams (stream_id, last_version) VALUES ($1, 1)
        ON CONFLICT (stream_id) DO UPDATE SET last_version = event_streams.last_version + 1
        RETURNING last_version
    )
    INSERT INTO events (stream_id, version, event_type, payload, user_id, project_id)
    SELECT $1, last_version, $2, $3, $4, $5 FROM stream
    RETURNING version
"""
MAKE_PARTITIONS = "SELECT create_event_partitions($1)"


async def append_event(connection: asyncpg.Connection, event: NewEvent) -> int:
    """Add `event` to its stream and return its version there, the next one after the last.

    Whoever else appends to this stream waits until the transaction of `connection` ends. It must not be of a level
    above READ COMMITTED, where that wait would end in a serialisation error.
    """
    arguments = (event.stream_id, event.event_type, event.payload, event.user_id, event.project_id)
    version: int = await connection.fetchval(APPEND, *arguments)
    return version


def retitle_events(user_id: UUID, entity: Project | Graph, row: asyncpg.Record) -> Iterator[NewEvent]:
    """Return an event for each of name and description that differs from `old_…` in `row`, with both values."""
    kind, project_id = ("graph", entity.project_id) if isinstance(entity, Graph) else ("project", entity.id)
    for member, verb in (("name", "renamed"), ("description", "described")):
        before, after = row[f"old_{member}"], getattr(entity, member)
        if before != after:
            yield NewEvent(entity.id, f"{kind}.{verb}", {"old": before, "new": after}, user_id, project_id)


class Events:
    """The history of projects and graphs, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    OF_STREAM = """
        SELECT id, stream_id, version, event_type, payload, user_id, project_id, created_at
        FROM events WHERE stream_id = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
    """

    async def of_stream(self, caller: Caller, stream_id: UUID, before: int | None, limit: int) -> tuple[Event, ...]:
        """Return the newest `limit` events of a stream, of those older than the event `before` if it is given."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.OF_STREAM, stream_id, before, limit)
        return tuple(_event(row) for row in rows)

    OF_PROJECT = """
        SELECT id, stream_id, version, event_type, payload, user_id, project_id, created_at
        FROM events WHERE project_id = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
    """

    async def of_project(self, caller: Caller, project_id: UUID, before: int | None, limit: int) -> tuple[Event, ...]:
        """Return the same of a project and all its graphs, those included that were purged."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.OF_PROJECT, project_id, before, limit)
        return tuple(_event(row) for row in rows)

    async def make_partitions(self) -> int:
        """Make the partitions of this month and the next MONTHS_AHEAD that are missing; return how many were.

        Raises StoreUnavailableError if someone reads `events` for long, such as a backup; nothing is lost by that.
        """
        async with self._database.service() as connection:
            made: int = await connection.fetchval(MAKE_PARTITIONS, MONTHS_AHEAD)
        return made


def _event(row: asyncpg.Record) -> Event:
    return Event(**row)
