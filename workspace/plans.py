"""Plans of projects, for whoever may: read and changed as the live documents that they are.

Every method asks the policy, also about the graph that is the plan's document.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from auth.policy import Action, Principal
from persistence.document import DocumentUpdate
from persistence.replay_records import StoredInput, StoredPlan
from replay.plan_edits import Change, edit_plan, first_updates
from replay.plan_status import PlanStatus, has_other_hashes, plan_status
from workspace.catalogue import Catalogue
from workspace.ports import GraphStore, LiveEditor, PlanStore, WholeDocument, Worker

CHANGE_EVENT = "plan.changed"
GRAPH_NAME = "Plan"

Changed = Callable[[UUID, UUID], None]
"""Hears which project's plan, or data, was changed by which user; returns at once."""


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """The stored plan of a project with its inputs, and what is to be told of it and of its live document."""

    stored: StoredPlan
    inputs: Sequence[StoredInput]
    status: PlanStatus


class Plans:
    """Reads and changes plans. `changed` hears of every change after which something else is computed."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: PlanStore,
        graphs: GraphStore,
        editor: LiveEditor,
        document: WholeDocument,
        worker: Worker,
        changed: Changed,
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._graphs = graphs
        self._editor = editor
        self._document = document
        self._worker = worker
        self._changed = changed
        # Whoever waits here holds no connection, which the one that makes a graph needs besides its own.
        self._making = asyncio.Lock()

    async def read(self, principal: Principal, project_id: UUID) -> ProjectPlan:
        """Return the plan of a project. Raises NotFoundError, StoreUnavailableError."""
        stored = await self._authorised(principal, project_id, Action.READ)
        graph_id = stored.plan_graph_id
        document = None if graph_id is None else await self._document(graph_id)
        status = await self._worker.run(plan_status, stored.plan_dag, document)
        return ProjectPlan(stored, await self._store.inputs(project_id), status)

    async def change(
        self, principal: Principal, project_id: UUID, change: Change, expected: frozenset[str] | None
    ) -> ProjectPlan:
        """Edit the plan's document, which is made at the first change, and return the plan as it is then.

        `expected` are tags of which the document has to have one, None for any. All of it is committed, or nothing is
        changed. Raises NotFoundError, ForbiddenError, NotJsonError, PlanErrors, PlanChangedError, and as
        `LiveEditor.edit` does.
        """
        before = await self._authorised(principal, project_id, Action.EDIT)
        graph_id = before.plan_graph_id
        if graph_id is None:
            updates = await self._worker.run(first_updates, change, expected, before.plan_dag)
            graph_id = await self._make_graph(principal, project_id, updates)
        build = partial(edit_plan, project_id, change, expected)
        await self._editor.edit(principal.caller, graph_id, CHANGE_EVENT, build)
        after = await self.read(principal, project_id)
        if await self._worker.run(has_other_hashes, before.plan_dag, after.stored.plan_dag):
            self._changed(project_id, principal.caller.user_id)
        return after

    async def _authorised(self, principal: Principal, project_id: UUID, action: Action) -> StoredPlan:
        await self._catalogue.authorise_project(principal, project_id, action)
        stored = await self._store.read(project_id)
        if stored.plan_graph_id is not None:
            await self._catalogue.authorise_graph(principal, stored.plan_graph_id, action)
        return stored

    async def _make_graph(self, principal: Principal, project_id: UUID, updates: Sequence[DocumentUpdate]) -> UUID:
        """Return the graph of a plan that had none, made of `updates` unless somebody else was faster."""
        async with self._making, self._store.held(project_id):
            made = (await self._store.read(project_id)).plan_graph_id
            if made is not None:
                return made
            graph = await self._graphs.create(principal.caller, project_id, GRAPH_NAME, "plan", None, updates)
        return graph.id
