"""Changes of graphs that no server has open, as commands make them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pycrdt import Decoder, Doc

from persistence.database import Database
from persistence.document import ServerEdit
from persistence.operations import StoredDocuments
from persistence.unserved import hold_unserved
from server.workers import Workers
from workspace.ports import Build


class UnservedEditor:
    """A `workspace.ports.LiveEditor` for graphs that are not live: who opens them next reads what it changed."""

    def __init__(self, database: Database, workers: Workers) -> None:
        self._database = database
        self._documents = StoredDocuments(database)
        self._workers = workers

    async def edit(
        self,
        user_id: UUID,
        graph_id: UUID,
        event_type: str | None,  # noqa: ARG002 - the protocol's; there is no table of events yet
        build: Build,
    ) -> Mapping[str, Any]:
        """Change a stored document and return the summary of `build`, as the protocol says."""
        async with hold_unserved(self._database, user_id, graph_id) as append:
            async with self._documents.open(graph_id) as chunks:
                updates = [update async for chunk in chunks for update in chunk.updates]
            edit = await self._workers.run(build_edit, build, updates)
            await append(edit.updates)
        return edit.summary


def build_edit(build: Build, updates: list[bytes]) -> ServerEdit:
    """Make the edit of the document that `updates` make."""
    doc: Doc[Any] = Doc()
    for update in updates:
        doc.apply_update(update)
    decoder = Decoder(doc.get_state())
    used = {decoder.read_var_uint(): decoder.read_var_uint() for _ in range(decoder.read_var_uint())}
    return build(doc.get_update(), next(id_ for id_ in range(1, 2**16) if id_ not in used))
