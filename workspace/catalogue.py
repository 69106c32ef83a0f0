"""Projects and their graphs, for whoever may: the service behind the HTTP routes and the commands.

Every method asks the policy. What one may not read is not found; what one may read but not do is forbidden.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

from auth.errors import ForbiddenError
from auth.policy import Action, Kind, Principal, Resource, may
from persistence.errors import NotFoundError
from persistence.records import Graph, GraphType, Origin, Project, Retitle
from workspace.importing import PreparedGraph
from workspace.ports import GraphStore, ProjectStore


class Catalogue:
    """Projects and graphs. `after_delete` is awaited for each graph just deleted, so that its room closes.

    Afterwards and not before: by then nobody can open the room again.
    """

    def __init__(
        self, projects: ProjectStore, graphs: GraphStore, after_delete: Callable[[UUID], Awaitable[None]]
    ) -> None:
        self._projects = projects
        self._graphs = graphs
        self._after_delete = after_delete

    async def create_project(
        self, principal: Principal, name: str, description: str | None, group_id: UUID | None = None
    ) -> Project:
        """Create a project in a group, as `group_for_new_project` finds it. Raises InvalidValueError for a bad name."""
        group_id = await self.group_for_new_project(principal, group_id)
        return await self._projects.create(principal.caller, group_id, name, description)

    async def group_for_new_project(self, principal: Principal, group_id: UUID | None = None) -> UUID:
        """Return `group_id`, else the first group that the principal joined and may edit in.

        Raises NotFoundError for a group that the principal is not in, ForbiddenError if they may not edit there.
        """
        if group_id is not None:
            await self._authorise_group(principal, group_id)
            return group_id
        for joined_id, role in await self._projects.groups_of(principal.caller):
            if may(principal, Action.EDIT, Resource.of(Kind.GROUP, role)):
                return joined_id
        raise ForbiddenError(Action.EDIT, "group")

    async def projects(self, principal: Principal) -> tuple[Project, ...]:
        """Return the projects the principal may read, oldest first."""
        return await self._projects.of_user(principal.caller)

    async def project(self, principal: Principal, project_id: UUID) -> Project:
        """Return a project. Raises NotFoundError."""
        await self.authorise_project(principal, project_id, Action.READ)
        return await self._projects.read(principal.caller, project_id)

    async def change_project(self, principal: Principal, project_id: UUID, new: Retitle) -> Project:
        """Rename and describe a project. Raises InvalidValueError for a bad name."""
        await self.authorise_project(principal, project_id, Action.EDIT)
        return await self._projects.change(principal.caller, project_id, new)

    async def delete_project(self, principal: Principal, project_id: UUID) -> None:
        """Put a project in the bin, and its graphs with it."""
        await self.authorise_project(principal, project_id, Action.MANAGE)
        graphs = await self._graphs.of_project(principal.caller, project_id)
        await self._projects.delete(principal.caller, project_id)
        for graph in graphs:
            await self._after_delete(graph.id)

    async def create_graph(
        self, principal: Principal, project_id: UUID, name: str, graph_type: GraphType, description: str | None
    ) -> Graph:
        """Create an empty graph. Raises InvalidValueError for a bad name."""
        await self.authorise_project(principal, project_id, Action.EDIT)
        return await self._graphs.create(principal.caller, project_id, name, graph_type, description)

    async def graphs(self, principal: Principal, project_id: UUID) -> tuple[Graph, ...]:
        """Return the graphs of a project, oldest first."""
        await self.authorise_project(principal, project_id, Action.READ)
        return await self._graphs.of_project(principal.caller, project_id)

    async def shared_graphs(self, principal: Principal) -> tuple[Graph, ...]:
        """Return the graphs of groups that the principal is not in which are open to them all the same."""
        graphs = await self._graphs.shared(principal.caller)
        return tuple(graph for graph in graphs if may(principal, Action.READ, Resource.of(Kind.GRAPH, graph.role)))

    async def graph(self, principal: Principal, graph_id: UUID) -> Graph:
        """Return a graph without its content. Raises NotFoundError."""
        await self.authorise_graph(principal, graph_id, Action.READ)
        return await self._graphs.read(principal.caller, graph_id)

    async def change_graph(self, principal: Principal, graph_id: UUID, new: Retitle) -> Graph:
        """Rename and describe a graph. Raises InvalidValueError for a bad name."""
        await self.authorise_graph(principal, graph_id, Action.EDIT)
        return await self._graphs.change(principal.caller, graph_id, new)

    async def delete_graph(self, principal: Principal, graph_id: UUID) -> None:
        """Put a graph in the bin."""
        await self.authorise_graph(principal, graph_id, Action.MANAGE)
        await self._graphs.delete(principal.caller, graph_id)
        await self._after_delete(graph_id)

    async def import_graph(self, principal: Principal, project_id: UUID, name: str, prepared: PreparedGraph) -> Graph:
        """Create a graph with its content: all of it, or nothing if this raises."""
        await self.authorise_project(principal, project_id, Action.EDIT)
        origin = Origin("graph.imported", prepared.counts)
        return await self._graphs.create(principal.caller, project_id, name, "data", None, prepared.updates, origin)

    async def _authorise_group(self, principal: Principal, group_id: UUID) -> None:
        group = Resource.of(Kind.GROUP, await self._projects.role_in_group(principal.caller, group_id))
        if not may(principal, Action.READ, group):
            raise NotFoundError("group", group_id)
        if not may(principal, Action.EDIT, group):
            raise ForbiddenError(Action.EDIT, "group")

    async def authorise_project(self, principal: Principal, project_id: UUID, action: Action) -> None:
        """Return if the principal may do `action`; raises NotFoundError if not even read, else ForbiddenError."""
        project = Resource.of(Kind.PROJECT, await self._projects.role_in_project(principal.caller, project_id))
        if not may(principal, Action.READ, project):
            raise NotFoundError("project", project_id)
        if not may(principal, action, project):
            raise ForbiddenError(action, "project")

    async def authorise_graph(self, principal: Principal, graph_id: UUID, action: Action) -> None:
        """Return if the principal may do `action`; raises NotFoundError if not even read, else ForbiddenError."""
        graph = Resource.of(Kind.GRAPH, await self._graphs.role_in_graph(principal.caller, graph_id))
        if not may(principal, Action.READ, graph):
            raise NotFoundError("graph", graph_id)
        if not may(principal, action, graph):
            raise ForbiddenError(action, "graph")
