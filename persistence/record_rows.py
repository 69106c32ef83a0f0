"""Where what goes with operations of the server's own becomes rows, in the transaction of those operations."""

from collections.abc import Sequence

import asyncpg

from persistence.database import Database
from persistence.events import append_event
from persistence.plans import write_plan
from persistence.records import NewEvent, Record
from persistence.replay_records import PlanRecord, ReplayRecord
from persistence.replays import write_replay


async def write_records(connection: asyncpg.Connection, records: Sequence[Record]) -> None:
    """Store `records`; in the same order whoever does, so that two who store the same kinds never wait in a ring."""
    for plan in sorted((one for one in records if isinstance(one, PlanRecord)), key=lambda plan: plan.project_id):
        await write_plan(connection, plan)
    for replay in sorted((one for one in records if isinstance(one, ReplayRecord)), key=lambda one: one.graph_id):
        await write_replay(connection, replay)
    for event in sorted((one for one in records if isinstance(one, NewEvent)), key=lambda event: event.stream_id):
        await append_event(connection, event)


class Records:
    """Stores records that no operations go with."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, records: Sequence[Record]) -> None:
        """Store `records`, all or none. Raises StoreError."""
        async with self._database.service() as connection:
            await write_records(connection, records)
