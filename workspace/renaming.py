"""Rename and describe a graph so that everybody who has it open learns of it."""

from functools import partial
from uuid import UUID

from auth.policy import Principal
from persistence.records import Graph, Retitle
from workspace.catalogue import Catalogue
from workspace.meta import write_meta
from workspace.ports import LiveEditor


class Renaming:
    """Writes a graph's row, which is the truth, and then its document, which follows."""

    def __init__(self, catalogue: Catalogue, editor: LiveEditor) -> None:
        self._catalogue = catalogue
        self._editor = editor

    async def change_graph(self, principal: Principal, graph_id: UUID, new: Retitle) -> Graph:
        """Rename and describe a graph, in its row and in its document, as far as they differ.

        Raises StoreUnavailableError if the document cannot be written, also because another server serves it: the row
        has the new name then, and the document gets it when the same is asked again, or with the next change.
        """
        graph = current = await self._catalogue.change_graph(principal, graph_id, new)
        written = None
        while written != (title := (current.name, current.description)):
            await self._editor.edit(
                principal.caller, graph_id, None, partial(write_meta, name=title[0], description=title[1])
            )
            written = title
            current = await self._catalogue.graph(principal, graph_id)  # somebody may have been faster with the row
        return graph
