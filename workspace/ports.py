"""What the workspace asks of the store, as narrow protocols."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from persistence.document import DocumentUpdate, ServerEdit
from persistence.records import Graph, GraphType, Project, Retitle

Build = Callable[[bytes, int], ServerEdit]
"""Makes an edit from the whole document, as one Yjs v1 update, and a client id below 2^16 that nobody used in it.

A function of a module, or a `functools.partial` of one, with arguments that pickle: it runs in a worker process. Pure.
"""


class LiveEditor(Protocol):
    """Changes graphs while people edit them."""

    async def edit(self, user_id: UUID, graph_id: UUID, event_type: str | None, build: Build) -> Mapping[str, Any]:
        """Change a graph's document and return the summary of `build`.

        Afterwards all of it is committed, with an event of `event_type` (unless None) that carries the summary, and
        then in the live document and sent to everyone; or nothing is. Raises NotFoundError, StoreUnavailableError,
        GraphServedElsewhereError if another server holds the graph, and what `build` raises.
        """


class ProjectStore(Protocol):
    """Rows of projects; `persistence.projects.Projects` says what each method promises."""

    async def create(self, user_id: UUID, group_id: UUID, name: str, description: str | None) -> Project: ...
    async def of_user(self, user_id: UUID) -> tuple[Project, ...]: ...
    async def read(self, user_id: UUID, project_id: UUID) -> Project: ...
    async def change(self, user_id: UUID, project_id: UUID, new: Retitle) -> Project: ...
    async def delete(self, user_id: UUID, project_id: UUID) -> None: ...
    async def role_in_project(self, user_id: UUID, project_id: UUID) -> str | None: ...
    async def groups_of(self, user_id: UUID) -> tuple[tuple[UUID, str], ...]: ...


class GraphStore(Protocol):
    """Rows of graphs; `persistence.graphs.Graphs` says what each method promises."""

    async def create(
        self,
        user_id: UUID,
        project_id: UUID,
        name: str,
        graph_type: GraphType,
        description: str | None,
        updates: Sequence[DocumentUpdate] = (),
    ) -> Graph: ...
    async def of_project(self, user_id: UUID, project_id: UUID) -> tuple[Graph, ...]: ...
    async def read(self, user_id: UUID, graph_id: UUID) -> Graph: ...
    async def change(self, user_id: UUID, graph_id: UUID, new: Retitle) -> Graph: ...
    async def delete(self, user_id: UUID, graph_id: UUID) -> None: ...
    async def role_in_graph(self, user_id: UUID, graph_id: UUID) -> str | None: ...
