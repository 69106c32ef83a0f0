"""Manual edits of graphs, for whoever may: looked at, switched on and off, settled, and made through a door."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal
from uuid import UUID

from auth.policy import Action, Principal
from persistence.replay_records import ManualEdit, OpenConflict
from replay.engine import THEIRS
from replay.errors import CaptureBehindError, NoBaseError
from replay.operations import EditOperation
from replay.ports import Capture
from replay.posted import post_operations
from replay.service import Rebuilds
from replay.settling import settled
from workspace.catalogue import Catalogue
from workspace.ports import LiveEditor, ManualEditStore

LIST_WAIT_S = 3.0
"""How long a list waits for edits that were committed before it was asked for."""


class ManualEdits:
    """The manual edits of graphs that have a base; others have none."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: ManualEditStore,
        rebuilds: Rebuilds,
        capture: Capture,
        editor: LiveEditor,
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._rebuilds = rebuilds
        self._capture = capture
        self._editor = editor

    async def page(
        self, principal: Principal, graph_id: UUID, after: int, limit: int, *, is_active: bool | None
    ) -> tuple[ManualEdit, ...]:
        """Return the first `limit` edits after the number `after`, also what was committed just before this call."""
        await self._catalogue.authorise_graph(principal, graph_id, Action.READ)
        with suppress(NoBaseError, CaptureBehindError):
            await self._capture.catch_up(graph_id, LIST_WAIT_S)
        return await self._store.page(principal.caller, graph_id, after, limit, is_active=is_active)

    async def deactivate(self, principal: Principal, graph_id: UUID, edit_id: UUID, reason: str | None) -> ManualEdit:
        """Leave an edit out, rebuild the graph without it, and return it. Raises NotFoundError.

        If rebuilding fails the edit is left out all the same, from the next replay on.
        """
        await self._catalogue.authorise_graph(principal, graph_id, Action.EDIT)
        edit = await self._store.deactivate(principal.caller, graph_id, edit_id, reason)
        await self._rebuilds.rebuild(principal.caller, graph_id, None, "edits")
        return edit

    async def reactivate(self, principal: Principal, graph_id: UUID, edit_id: UUID) -> ManualEdit:
        """Apply an edit again, at its old place, and return it. Raises and ends as `deactivate` does."""
        await self._catalogue.authorise_graph(principal, graph_id, Action.EDIT)
        edit = await self._store.reactivate(principal.caller, graph_id, edit_id)
        await self._rebuilds.rebuild(principal.caller, graph_id, None, "edits")
        return edit

    async def conflicts(self, principal: Principal, graph_id: UUID, after: int, limit: int) -> tuple[OpenConflict, ...]:
        """Return the first `limit` conflicts to settle, of edits after the number `after`."""
        await self._catalogue.authorise_graph(principal, graph_id, Action.READ)
        return await self._store.conflicts(principal.caller, graph_id, after, limit)

    async def settle(
        self, principal: Principal, graph_id: UUID, edit_id: UUID, keep: Literal["mine", "theirs"]
    ) -> ManualEdit:
        """Settle the open conflict of an edit and return the edit: rebased if it is kept, else left out.

        Raises NotFoundError if it is in none, and what rebuilding without it raises.
        """
        await self._catalogue.authorise_graph(principal, graph_id, Action.EDIT)
        if keep == THEIRS:
            await self._store.conflict(principal.caller, graph_id, edit_id)
            return await self.deactivate(principal, graph_id, edit_id, THEIRS)
        return await self._store.keep(principal.caller, graph_id, edit_id, _settled)

    async def post(
        self, principal: Principal, graph_id: UUID, operations: Sequence[EditOperation]
    ) -> Mapping[str, Any]:
        """Make operations in a graph's document, all or none, and return how many were and how many had been.

        Raises InapplicableError for the first that cannot be made.
        """
        await self._catalogue.authorise_graph(principal, graph_id, Action.EDIT)
        build = partial(post_operations, tuple(operations), graph_id)
        return await self._editor.edit(principal.caller, graph_id, None, build)


def _settled(conflict: OpenConflict) -> Mapping[str, Any]:
    return settled(conflict.edit.operation_data, conflict.fields)
