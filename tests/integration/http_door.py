"""The HTTP interface of projects and graphs on a test's database, with a caller of the test's choice."""

import atexit
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from fastapi import FastAPI, HTTPException, Request

from auth.policy import OPERATOR, Credential, Principal
from persistence.bin import BinnedRows
from persistence.database import Database
from persistence.errors import StoreError
from persistence.events import Events
from persistence.graphs import Graphs
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller
from persistence.tables import GraphTables
from server.community import build_audit
from server.http import bin as binned
from server.http import copying, exporting, graphs, history, importing, inputs, plans, problems, projects, tables
from server.node import Node, running_node
from server.origin import OriginPolicy
from server.planning import build_planning
from server.request_check import RequestCheck
from server.settings import Settings
from server.visitors import Visitors
from server.workers import Workers
from workspace.bin import Bin
from workspace.catalogue import Catalogue
from workspace.copying import Copies
from workspace.history import History
from workspace.ports import Build
from workspace.renaming import Renaming

MAX_INPUT_BYTES = 100_000
WORKERS = Workers()
"""One process for all tests of a run, since starting one takes a while."""

atexit.register(WORKERS.close)


class Editor:
    """The node's editor; `fails_with` is raised once, before anything is done."""

    def __init__(self, node: Node) -> None:
        self.fails_with: StoreError | None = None
        self.summaries: list[Mapping[str, Any]] = []
        self._edits = node.edits

    async def edit(self, caller: Caller, graph_id: UUID, event_type: str | None, build: Build) -> Mapping[str, Any]:
        if self.fails_with is not None:
            error, self.fails_with = self.fails_with, None
            raise error
        summary = await self._edits.edit(caller, graph_id, event_type, build)
        self.summaries.append(summary)
        return summary


@dataclass
class Door:
    """A client of the interface, who it is, which rooms were closed when, as seen by who opens them, and more."""

    database: Database
    database_url: str
    node: Node
    caller: UUID | None = ANONYMOUS_USER_ID
    closed: list[tuple[UUID, str]] = field(default_factory=list)
    changed: list[tuple[str, UUID]] = field(default_factory=list)
    """Projects whose plan or data changed, and who did that."""
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(Projects(self.database), Graphs(self.database), self._close)
        self.editor = Editor(self.node)
        # What the application raises is looked at as its clients see it.
        transport = httpx.ASGITransport(self._app(), raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://door")

    def _app(self) -> FastAPI:
        app = FastAPI()
        app.state.authenticate = self._authenticate
        problems.install(app)
        app.add_middleware(RequestCheck, visitors=Visitors(), origins=OriginPolicy())
        app.include_router(projects.router(self.catalogue))
        whole, renaming = self.node.whole, Renaming(self.catalogue, self.editor)
        app.include_router(graphs.router(self.catalogue, whole, renaming, WORKERS))
        app.include_router(exporting.router(self.catalogue, whole, WORKERS, build_audit(self.database)))
        app.include_router(importing.router(self.catalogue, whole, WORKERS, self.editor))
        copies = Copies(self.catalogue, Graphs(self.database), whole, WORKERS)
        app.include_router(copying.router(copies))
        app.include_router(binned.router(Bin(self.catalogue, BinnedRows(self.database))))
        app.include_router(history.router(History(self.catalogue, Events(self.database))))
        app.include_router(tables.router(self.catalogue, GraphTables(self.database)))
        planning = build_planning(self.database, self.node, self.catalogue, self._plan_changed)
        app.include_router(plans.router(planning.plans))
        app.include_router(inputs.router(self.catalogue, planning.inputs, MAX_INPUT_BYTES))
        return app

    def _plan_changed(self, project_id: UUID, user_id: UUID) -> None:
        self.changed.append((str(project_id), user_id))

    async def _authenticate(self, request: Request) -> Principal:
        if self.caller is None:
            raise HTTPException(401, "log in first", {"WWW-Authenticate": "Bearer"})
        return Principal(self.caller, "someone", "person", Credential("token"))

    async def _close(self, graph_id: UUID) -> None:
        role = await Graphs(self.database).role_in_graph(OPERATOR.caller, graph_id)
        self.closed.append((graph_id, "absent" if role is None else "there"))

    async def document(self, graph_id: UUID) -> bytes:
        """Return a graph's whole document."""
        return await self.node.whole(graph_id)

    async def person(self, role: str | None) -> UUID:
        """Add a person with a role in the group of everyone, or in none."""
        user_id = uuid4()
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.execute("INSERT INTO users (id, username) VALUES ($1, $2)", user_id, str(user_id))
            if role is not None:
                insert = "INSERT INTO group_memberships (group_id, user_id, role) VALUES ($1, $2, $3)"
                await connection.execute(insert, EVERYONE_GROUP_ID, user_id, role)
        finally:
            await connection.close()
        return user_id

    async def project(self) -> str:
        """Create a project and return its address."""
        answer = await self.client.post("/api/projects", json={"name": "Bridge"})
        return f"/api/projects/{answer.json()['id']}"

    async def graph(self, project: str) -> str:
        """Create a graph and return its address."""
        answer = await self.client.post(f"{project}/graphs", json={"name": "Deck"})
        return f"/api/graphs/{answer.json()['id']}"


@asynccontextmanager
async def open_door(database: Database, database_url: str) -> AsyncIterator[Door]:
    """Open the interface for the length of the block."""
    async with running_node(Settings(), database, WORKERS) as node:
        door = Door(database, database_url, node)
        async with door.client:
            yield door
