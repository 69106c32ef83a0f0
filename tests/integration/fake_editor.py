"""A `workspace.ports.LiveEditor` that writes straight into the log, and a worker that is no process."""

import pickle
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from persistence.database import Database
from persistence.errors import StoreError
from persistence.events import append_event
from persistence.graphs import Graphs
from persistence.operations import StoredDocuments
from persistence.records import NewEvent
from server.documents import assemble, read_stored
from workspace.ports import Build

T = TypeVar("T")
CLIENT_ID = 7


class FakeEditor:
    """Edits documents that nobody has open; `fails_with` is raised once, before anything is done."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.fails_with: StoreError | None = None
        self.summaries: list[Mapping[str, Any]] = []

    async def edit(self, user_id: UUID, graph_id: UUID, event_type: str | None, build: Build) -> Mapping[str, Any]:
        if self.fails_with is not None:
            error, self.fails_with = self.fails_with, None
            raise error
        chunks = await read_stored(StoredDocuments(self._database), graph_id)
        made = await InlineWorker().run(build, assemble(chunks, 0).document, CLIENT_ID)
        rows = [(graph_id, u.data, u.vector_clock, user_id, "edit", str(u.client_id)) for u in made.updates]
        async with self._database.request(user_id) as connection:
            await connection.executemany(Graphs.INSERT_OPERATION, rows)
            if event_type is not None:
                await append_event(connection, NewEvent(graph_id, event_type, made.summary, user_id, None))
        self.summaries.append(made.summary)
        return made.summary


class InlineWorker:
    """Runs work here, after it went through what another process would get."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        function, arguments = pickle.loads(pickle.dumps((function, arguments)))
        return function(*arguments)
