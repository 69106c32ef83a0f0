"""Graphs are rebuilt, and it is told what became of their edits, for whoever may."""

from uuid import UUID

import orjson

from auth.policy import Action, Principal
from persistence.replay_records import ReplayRules, ReplaySummary
from replay.service import Rebuilds, counts
from workspace.catalogue import Catalogue
from workspace.ports import ReplayRulesStore, ReplayStore


class Replays:
    """Replays of graphs, newest first, and the rules of projects for them. What can be large is JSON in bytes."""

    def __init__(self, catalogue: Catalogue, store: ReplayStore, rules: ReplayRulesStore, rebuilds: Rebuilds) -> None:
        self._catalogue = catalogue
        self._store = store
        self._rules = rules
        self._rebuilds = rebuilds

    async def rebuild(self, principal: Principal, graph_id: UUID) -> bytes:
        """Rebuild a graph of the base it has, a copy of what its parent is now, and return what became of its edits.

        Raises what `Rebuilds.rebuild` raises.
        """
        await self._catalogue.authorise_graph(principal, graph_id, Action.EDIT)
        summary = await self._rebuilds.rebuild(principal.caller, graph_id, None, "request")
        replay_id = UUID(summary["replay_id"])
        return await self._store.answer(principal.caller, graph_id, replay_id, orjson.dumps(counts(summary)))

    async def preview(self, principal: Principal, graph_id: UUID) -> bytes:
        """Return what `rebuild` would make of a graph now; nothing is written."""
        await self._catalogue.authorise_graph(principal, graph_id, Action.READ)
        return await self._rebuilds.preview(principal.caller, graph_id)

    async def page(
        self, principal: Principal, graph_id: UUID, before: UUID | None, limit: int
    ) -> tuple[ReplaySummary, ...]:
        """Return the newest `limit` replays of a graph, of those older than the replay `before` if it is given."""
        await self._catalogue.authorise_graph(principal, graph_id, Action.READ)
        return await self._store.page(principal.caller, graph_id, before, limit)

    async def read(self, principal: Principal, graph_id: UUID, replay_id: UUID) -> bytes:
        """Return a replay whole. Raises NotFoundError."""
        await self._catalogue.authorise_graph(principal, graph_id, Action.READ)
        return await self._store.read(principal.caller, graph_id, replay_id)

    async def rules(self, principal: Principal, project_id: UUID) -> ReplayRules:
        """Return what a project says of replays."""
        await self._catalogue.authorise_project(principal, project_id, Action.READ)
        return await self._rules.read(principal.caller, project_id)

    async def change_rules(
        self, principal: Principal, project_id: UUID, automatic: bool | None, conflicts: str | None
    ) -> ReplayRules:
        """Change those of a project's rules that are given, and return all."""
        await self._catalogue.authorise_project(principal, project_id, Action.EDIT)
        return await self._rules.change(principal.caller, project_id, automatic, conflicts)
