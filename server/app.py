"""The composition root: which parts there are and how they hang together."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import structlog
import uvicorn
from fastapi import FastAPI, HTTPException, Request

from auth.policy import Principal
from collab.edge import ConnectionReport, Edge, EdgeSettings
from collab.hub import Hub, HubSettings
from collab.room import Limits
from collab.websocket import Connection
from persistence.database import Database
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.log_writer import LogSettings, LogWriter
from persistence.operations import StoredDocuments
from persistence.projects import Projects
from server.door import Authenticator, Door, UnauthenticatedError, bearer
from server.http import description, graphs, health, importing, problems, projects
from server.listener import Listener, http_protocol
from server.metrics import Metrics, oldest_unsaved_age_s
from server.origin import ForeignRequestError
from server.page import OpenRequestsOnly, SecurityHeaders, static_page
from server.settings import Settings
from server.supervision import MaintenanceProcess
from workspace.catalogue import Catalogue

_log = structlog.get_logger("layercake")

# Shares of `shutdown_timeout_s`; closing the database has the rest (`server.store`).
_DRAIN_SHARE = 0.6
_REQUESTS_SHARE = 0.7
_MAINTENANCE_SHARE = 0.1
_GOODBYE_S = 1.0
_CANCEL_S = 0.5


class UnsavedEditsError(Exception):
    """The server stopped with edits that could not be committed; nobody was ever told that they are saved."""

    def __init__(self, uncommitted_bytes: int) -> None:
        super().__init__("stopped with edits that could not be committed; their clients keep them and send them again")
        self.uncommitted_bytes = uncommitted_bytes


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one server that run."""

    database: Database
    log: LogWriter
    hub: Hub
    edge: Edge
    documents: StoredDocuments
    catalogue: Catalogue
    maintenance: MaintenanceProcess


def build_services(settings: Settings, database: Database, authenticate: Authenticator) -> Services:
    """Put the parts together; nothing runs yet."""
    documents = StoredDocuments(database)
    log = LogWriter(
        database, new_id, LogSettings(window_s=settings.log_window_s, buffer_bytes=settings.log_buffer_bytes)
    )
    hub = Hub(documents, log, _hub_settings(settings))
    rows = Graphs(database)
    edge_settings = EdgeSettings(
        message_bytes=settings.message_bytes,
        write_buffer_bytes=settings.write_buffer_bytes,
        tick_s=settings.liveness_tick_s,
        join_timeout_s=settings.load_timeout_s + settings.database_timeout_s,
    )
    edge = Edge(hub, Door(authenticate, rows), lambda: str(new_id()), _tell_end, edge_settings)

    async def after_delete(graph_id: UUID) -> None:
        hub.forget_graph(graph_id)

    catalogue = Catalogue(Projects(database), rows, after_delete)
    maintenance = MaintenanceProcess(settings, database.url)
    return Services(database, log, hub, edge, documents, catalogue, maintenance)


def _hub_settings(settings: Settings) -> HubSettings:
    limits = Limits(
        window_s=settings.coalescing_window_s,
        presence_window_s=settings.presence_window_s,
        waiting_bytes=settings.pending_bytes,
    )
    return HubSettings(load_timeout_s=settings.load_timeout_s, idle_unload_s=settings.idle_unload_s, room=limits)


def build_http(settings: Settings, services: Services, authenticate: Authenticator) -> FastAPI:
    """Return the HTTP application of `services`."""
    app = FastAPI(title="Layercake", version="0.1.0", docs_url=None, redoc_url=None)
    app.state.authenticate = _http_authentication(authenticate)
    problems.install(app)
    age_s = lambda: oldest_unsaved_age_s(services.log, datetime.now(UTC))  # noqa: E731 - one expression with a name
    metrics = Metrics(services.edge, services.hub, services.log, services.maintenance)
    app.include_router(health.router(services.database.ping, age_s, settings.log_behind_s, metrics.text))
    app.include_router(projects.router(services.catalogue))
    app.include_router(graphs.router(services.catalogue, _content_of(services)))
    app.include_router(importing.router(services.catalogue))
    description.serve_description(app)
    app.mount("/", static_page())
    if settings.open:
        app.add_middleware(OpenRequestsOnly)
    app.add_middleware(SecurityHeaders)
    return app


def _http_authentication(authenticate: Authenticator) -> Callable[[Request], Awaitable[Principal]]:
    async def authenticated(request: Request) -> Principal:
        headers = request.headers
        try:
            return await authenticate(headers.get("host"), headers.get("origin"), bearer(headers.get("authorization")))
        except UnauthenticatedError as error:
            raise HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"}) from None
        except ForeignRequestError as error:
            raise HTTPException(403, str(error)) from None

    return authenticated


def _content_of(services: Services) -> graphs.ContentSource:
    async def content(graph_id: UUID) -> Sequence[bytes]:
        room = services.hub.live(graph_id)
        if room is not None:
            return (room.document.difference({}),)
        async with services.documents.open(graph_id) as chunks:
            return [update async for chunk in chunks for update in chunk.updates]

    return content


def _tell_end(report: ConnectionReport) -> None:
    _log.info(
        "connection ended",
        connection=report.connection_id,
        graph=str(report.graph_id) if report.graph_id else None,
        user=str(report.user_id) if report.user_id else None,
        read_only=report.read_only,
        status=report.status,
        code=report.close_code,
        reason=report.close_reason,
        messages=report.messages,
        received_bytes=report.received_bytes,
        sent_bytes=report.sent_bytes,
        times_behind=report.times_behind,
        duration_s=round(report.duration_s, 3),
    )


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to `host` and `port`; raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


@asynccontextmanager
async def running(
    settings: Settings, database: Database, authenticate: Authenticator, bound: socket.socket
) -> AsyncIterator[Listener]:
    """Serve on `bound` until the block ends, then stop: store what came in, say 1012, close.

    All of that takes `shutdown_timeout_s` at most. Raises UnsavedEditsError if not everything was stored by then.
    If a part fails that must not, the block is cancelled and the failure raised.
    """
    is_stored = True
    services = build_services(settings, database, authenticate)
    listener = Listener(_uvicorn_config(settings, services, build_http(settings, services, authenticate)))
    async with asyncio.TaskGroup() as parts:
        tasks = [parts.create_task(work) for work in (services.log.run(), services.hub.run(), services.edge.run())]
        await listener.startup(sockets=[bound])
        tasks += [parts.create_task(listener.main_loop()), parts.create_task(services.maintenance.run())]
        try:
            yield listener
        finally:
            is_stored = await _stop(settings, services, listener)
            await _end(tasks)
    if not is_stored:
        raise UnsavedEditsError(services.log.uncommitted_bytes)


def _uvicorn_config(settings: Settings, services: Services, app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http_protocol(settings.header_bytes, settings.request_timeout_s),
        ws=lambda **_: Connection(services.edge),  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )


async def _stop(settings: Settings, services: Services, listener: Listener) -> bool:
    """Let what is under way end, in time; return whether everything is stored."""
    deadline = asyncio.get_running_loop().time() + settings.shutdown_timeout_s * _REQUESTS_SHARE
    listener.stop_accepting()
    is_stored = await services.edge.stop(settings.shutdown_timeout_s * _DRAIN_SHARE)
    await services.maintenance.stop(settings.shutdown_timeout_s * _MAINTENANCE_SHARE)
    await services.edge.closed(_GOODBYE_S)
    for connection in list(listener.server_state.connections):
        connection.shutdown()
    ending = [asyncio.create_task(services.hub.close()), *listener.server_state.tasks]
    await asyncio.wait(ending, timeout=max(deadline - asyncio.get_running_loop().time(), 0))
    await _end(ending)
    return is_stored


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    # Cancelled twice: the first makes a transaction roll back, which a database that hangs never answers.
    for _ in range(2):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CANCEL_S)
