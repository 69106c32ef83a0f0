"""PLANS-9: the stored plan follows, whatever happens while a server looks at the document."""

import asyncio
from contextlib import suppress
from uuid import UUID

import asyncpg
import orjson
import pytest

from persistence.database import Database
from persistence.errors import StoreUnavailableError
from persistence.graphs import Graphs
from persistence.notices import Notices
from persistence.plans import Plans
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller
from replay.plan_edits import first_updates, put
from replay.plan_reading import read_plan
from server import plan_projection
from server.documents import Documents
from server.node import running_node
from server.plan_projection import CHANNEL, PlanProjection
from server.settings import Settings
from tests.clients.eventually import eventually
from tests.integration.http_door import WORKERS
from tests.integration.planned import BRIDGE, WRITE_PLAN, plan_of, step

ME = Caller(ANONYMOUS_USER_ID)
PLAN = read_plan(BRIDGE).to_json()
OTHER = plan_of([step("deck", "GraphNode", "Deck")])
SHOW = """
    UPDATE graphs SET projected_through = (SELECT max(id) FROM crdt_operations WHERE graph_id = $1) WHERE id = $1
"""


class Troubled:
    """Documents as they are, but for what happens the first times that somebody reads one."""

    def __init__(self, documents: Documents, owner: asyncpg.Connection, project_id: UUID) -> None:
        self._documents = documents
        self._owner = owner
        self._project_id = project_id
        self.reads = 0

    async def committed(self, graph_id: UUID) -> bytes:
        self.reads += 1
        if self.reads == 1:
            raise StoreUnavailableError("it starts")
        if self.reads == 2:  # somebody else makes another plan while this one is looked at
            await self._owner.execute(WRITE_PLAN, self._project_id, orjson.dumps(OTHER))
        return await self._documents.committed(graph_id)


async def test_PLANS_9_a_plan_that_could_not_be_followed_is_looked_at_again(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PLANS-9: the store was away, then another plan was written; and what runs plans is told once, and who did it."""
    for name, value in (("QUIET_S", 0.01), ("_BEHIND_EVERY_S", 0.05)):
        monkeypatch.setattr(plan_projection, name, value)
    owner, plans = await asyncpg.connect(database_url), Plans(database)
    changed: list[tuple[UUID, UUID]] = []
    project = await Projects(database).create(ME, EVERYONE_GROUP_ID, "River", None)
    updates = first_updates(put(orjson.dumps(PLAN)), None, PLAN)
    graph = await Graphs(database).create(ME, project.id, "Plan", "plan", None, updates)
    await owner.execute(SHOW, graph.id)
    async with running_node(Settings(), database, WORKERS) as node:
        troubled = Troubled(node.whole, owner, project.id)
        projection = PlanProjection(
            plans,
            Notices(database, CHANNEL, "plans"),
            troubled,
            WORKERS,
            lambda project_id, user_id: changed.append((project_id, user_id)),
        )
        running = asyncio.create_task(projection.run())
        try:
            await eventually(lambda: plans.read(project.id), lambda stored: stored.plan_dag == PLAN)
            await eventually(lambda: plans.behind(1), lambda behind: behind == ())
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await owner.close()
    assert troubled.reads == 3
    assert changed == [(project.id, ANONYMOUS_USER_ID)]
