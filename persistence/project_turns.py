"""Whose turn it is to run a project's plan: one at a time, of all processes on the database.

A turn is a session advisory lock on a connection of its own, so that it is free when its holder is gone.
"""

from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.locks import LockKind, graph_lock
from persistence.translation import translate

_CLOSE_S = 2.0


class ProjectTurn:
    """A turn that is held until it is given back, or its connection is lost."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have the turn, as far as anybody has noticed."""
        return not self._connection.is_closed()

    async def give_back(self) -> None:
        """Let others have the turn. Idempotent."""
        try:
            await self._connection.close(timeout=_CLOSE_S)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._connection.terminate()


class ProjectTurns:
    """Takes turns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    TRY = "SELECT pg_try_advisory_lock($1)"

    async def take(self, project_id: UUID) -> ProjectTurn | None:
        """Return the turn of a project, None if somebody has it. Raises StoreError."""
        connection = await self._database.connect_log()
        turn = ProjectTurn(connection)
        is_taken = False
        try:
            with translate():
                key = graph_lock(project_id, LockKind.EXECUTION)
                is_taken = await connection.fetchval(self.TRY, key)
        finally:
            if not is_taken:
                await turn.give_back()
        return turn if is_taken else None
