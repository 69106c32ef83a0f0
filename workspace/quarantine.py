"""Operations that are left out of their graphs, for those who may manage the graph; others hear of none."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from auth.errors import ForbiddenError
from auth.policy import Action, Kind, Principal, Resource, may
from persistence.errors import NotFoundError
from persistence.records import QuarantinedOperation
from workspace.catalogue import Catalogue
from workspace.ports import QuarantineStore

LIST_LIMIT = 1_000
"""How many operations are listed: the newest."""


class Quarantine:
    """`serve` returns once this node serves a graph, `reload` once it is loaded again, with an update."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: QuarantineStore,
        serve: Callable[[UUID], Awaitable[object]],
        reload: Callable[[UUID, bytes], Awaitable[None]],
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._serve = serve
        self._reload = reload

    async def list(self, principal: Principal, graph_id: UUID | None) -> tuple[QuarantinedOperation, ...]:
        """Return those that the principal may manage of the newest LIST_LIMIT of one graph, or all; without bytes."""
        found = await self._store.of_user(principal.caller, graph_id, LIST_LIMIT)
        return tuple(one for one, role in found if may(principal, Action.MANAGE, Resource.of(Kind.GRAPH, role)))

    async def show(self, principal: Principal, operation_id: int) -> QuarantinedOperation:
        """Return one with its bytes. Raises NotFoundError."""
        found = await self._store.find(principal.caller, operation_id)
        try:
            if found is not None:
                await self._catalogue.authorise_graph(principal, found.graph_id, Action.MANAGE)
                return found
        except (NotFoundError, ForbiddenError):
            pass  # nobody else hears that there is one
        raise NotFoundError("quarantined operation", operation_id)

    async def release(self, principal: Principal, operation_id: int) -> QuarantinedOperation | None:
        """Have one loaded again with its graph; return it if the graph cannot be loaded with it, None if it can.

        Raises NotFoundError, and what loading a graph raises: then it may be found again at the next load.
        """
        found = await self.show(principal, operation_id)
        await self._serve(found.graph_id)  # else another server would go on without it
        await self._store.release(principal.caller, found.graph_id, operation_id)
        await self._reload(found.graph_id, found.data)
        return await self._store.find(principal.caller, operation_id)
