"""Keeps the plans in the rows of projects what their live documents say, while those are sound.

Every node does that for all projects; of several that see the same change, one writes it.
"""

import asyncio
from typing import Protocol
from uuid import UUID

import structlog

from collab.loading import BrokenStateError
from persistence.errors import NotFoundError, StoreError
from persistence.notices import Notices
from persistence.plans import Plans
from persistence.records import SYSTEM_USER_ID
from replay.plan_status import plan_of_document
from replay.quiet import MAX_WAITING, Quiet
from server.workers import WorkerLostError, Workers
from workspace.plans import Changed

CHANNEL = "layercake_plans"
"""Tells the graph whose document the follower has projected further (migrations/0010_create_replay.sql)."""

QUIET_S = 1.0
"""How long nobody may have edited a plan before it is looked at."""

MOST_S = 10.0
"""After so long it is looked at although people edit it all the time."""

LOOK_TIMEOUT_S = 60.0
"""How long reading one plan's document, checking and storing it may take."""

_BEHIND_EVERY_S = 30.0

_log = structlog.get_logger("layercake.plans")


class CommittedDocument(Protocol):
    """Reads what is stored of documents; `server.documents.Documents` says what the method promises."""

    async def committed(self, graph_id: UUID) -> bytes: ...


class PlanProjection:
    """The part of a node that follows live plans. `changed` hears of each after which something else is computed."""

    def __init__(
        self, plans: Plans, notices: Notices, documents: CommittedDocument, workers: Workers, changed: Changed
    ) -> None:
        self._plans = plans
        self._notices = notices
        self._documents = documents
        self._workers = workers
        self._changed = changed
        self._quiet = Quiet(QUIET_S, MOST_S)
        self._heard = asyncio.Event()
        self._is_missing_some = True

    async def run(self) -> None:
        """Follow until cancelled. What happened while nobody listened is made up for."""
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._notices.run(self._hear))
            parts.create_task(self._follow())

    def _hear(self, notice: str | None) -> None:
        if notice is None:
            self._is_missing_some = True
        else:
            self._note(UUID(notice))
        self._heard.set()

    def _note(self, graph_id: UUID) -> None:
        is_noted = self._quiet.heard(graph_id, SYSTEM_USER_ID, asyncio.get_running_loop().time())
        self._is_missing_some |= not is_noted

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wait_until(self._quiet.next_at() or loop.time() + _BEHIND_EVERY_S)
            if self._is_missing_some:
                await self._look_for_missed()
            for graph_id, _ in self._quiet.take_due(loop.time()):
                await self._look_at(graph_id)

    async def _wait_until(self, when: float) -> None:
        try:
            async with asyncio.timeout_at(when):
                await self._heard.wait()
        except TimeoutError:
            return
        self._heard.clear()

    async def _look_for_missed(self) -> None:
        try:
            behind = await self._plans.behind(MAX_WAITING)
        except StoreError as error:
            _log.warning("plans that changed are not looked for", error=str(error))
            return
        self._is_missing_some = False
        for graph_id in behind:
            self._note(graph_id)

    async def _look_at(self, graph_id: UUID) -> None:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                await self._project(graph_id)
        except NotFoundError:
            return  # in the bin by now
        except (StoreError, BrokenStateError, WorkerLostError, TimeoutError) as error:
            _log.warning("a plan does not follow its document", graph=str(graph_id), error=repr(error))
            self._is_missing_some = True

    async def _project(self, graph_id: UUID) -> None:
        """Make the stored plan what the document says, if that is a sound plan."""
        position = await self._plans.position(graph_id)
        if position is None:
            return
        document = await self._documents.committed(graph_id)
        found = await self._workers.run(plan_of_document, position.plan.plan_dag, document)
        if found is None:
            await self._plans.pass_to(position)
        elif not await self._plans.project(position, found.plan_dag, found.version):
            self._note(graph_id)  # somebody wrote another meanwhile: it is looked at again
        elif found.has_other_hashes:
            self._changed(position.plan.project_id, position.user_id)
