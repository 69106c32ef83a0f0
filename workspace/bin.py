"""The bin, for those who may manage what lies there; for everybody else it is empty."""

from uuid import UUID

from auth.policy import Action, Kind, Principal, Resource, may
from persistence.errors import NotFoundError
from persistence.records import BinnedGraph, BinnedProject, Graph, Project
from workspace.catalogue import Catalogue
from workspace.ports import BinStore


class Bin:
    """Deleted projects and graphs. What is not in the bin, or not one's to manage, is not found here."""

    def __init__(self, catalogue: Catalogue, store: BinStore) -> None:
        self._catalogue = catalogue
        self._store = store

    async def projects(self, principal: Principal) -> tuple[BinnedProject, ...]:
        """Return the projects in the bin that the principal may manage, last deleted first."""
        found = await self._store.projects(principal.caller)
        return tuple(project for project in found if _may_manage(principal, Kind.PROJECT, project.role))

    async def graphs(self, principal: Principal, project_id: UUID) -> tuple[BinnedGraph, ...]:
        """Return the graphs in the bin of a project, last deleted first."""
        await self._catalogue.authorise_project(principal, project_id, Action.MANAGE)
        return await self._store.graphs(principal.caller, project_id)

    async def restore_graph(self, principal: Principal, graph_id: UUID) -> Graph:
        """Take a graph out of the bin, as it was."""
        await self._authorise_graph(principal, graph_id)
        return await self._store.restore_graph(principal.caller, graph_id)

    async def restore_project(self, principal: Principal, project_id: UUID) -> Project:
        """Take a project out of the bin, with the graphs that were not in the bin before it."""
        await self._authorise_project(principal, project_id)
        return await self._store.restore_project(principal.caller, project_id)

    async def purge_graph(self, principal: Principal, graph_id: UUID) -> None:
        """Delete a graph in the bin for ever: its history is left, its content is not."""
        await self._authorise_graph(principal, graph_id)
        await self._store.purge_graph(principal.caller, graph_id)

    async def purge_project(self, principal: Principal, project_id: UUID) -> None:
        """Delete a project in the bin and its graphs for ever."""
        await self._authorise_project(principal, project_id)
        await self._store.purge_project(principal.caller, project_id)

    async def _authorise_graph(self, principal: Principal, graph_id: UUID) -> None:
        role = await self._store.role_in_graph(principal.caller, graph_id)
        if not _may_manage(principal, Kind.GRAPH, role):
            raise NotFoundError("graph", graph_id)

    async def _authorise_project(self, principal: Principal, project_id: UUID) -> None:
        role = await self._store.role_in_project(principal.caller, project_id)
        if not _may_manage(principal, Kind.PROJECT, role):
            raise NotFoundError("project", project_id)


def _may_manage(principal: Principal, kind: Kind, role: str | None) -> bool:
    return may(principal, Action.MANAGE, Resource.of(kind, role))
