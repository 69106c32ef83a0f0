"""What was done to projects and graphs, for whoever may read them."""

from uuid import UUID

from auth.policy import Action, Principal
from persistence.records import Event
from workspace.catalogue import Catalogue
from workspace.ports import EventStore


class History:
    """The events of graphs and projects, newest first."""

    def __init__(self, catalogue: Catalogue, events: EventStore) -> None:
        self._catalogue = catalogue
        self._events = events

    async def of_graph(self, principal: Principal, graph_id: UUID, before: int | None, limit: int) -> tuple[Event, ...]:
        """Return the newest `limit` events of a graph, of those older than the event `before` if it is given."""
        await self._catalogue.authorise_graph(principal, graph_id, Action.READ)
        return await self._events.of_stream(principal.caller, graph_id, before, limit)

    async def of_project(
        self, principal: Principal, project_id: UUID, before: int | None, limit: int
    ) -> tuple[Event, ...]:
        """Return the same of a project with all graphs it has and had."""
        await self._catalogue.authorise_project(principal, project_id, Action.READ)
        return await self._events.of_project(principal.caller, project_id, before, limit)
