"""Which parts one server has, and how they hang together."""

import secrets
from dataclasses import dataclass
from uuid import UUID

import structlog

from collab.edge import ConnectionReport, Edge, EdgeSettings
from collab.hub import Hub, HubSettings
from collab.room import Limits
from collab.server_edits import MAX_SERVER_CLIENT_ID, ServerEdits
from persistence.bin import BinnedRows
from persistence.database import Database
from persistence.events import Events
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.log_writer import LogSettings, LogWriter
from persistence.operations import StoredDocuments
from persistence.projects import Projects
from persistence.tables import GraphTables
from server.documents import Documents
from server.door import Authenticator, Door
from server.settings import Settings
from server.workers import Workers
from workspace.bin import Bin
from workspace.catalogue import Catalogue
from workspace.copying import Copies
from workspace.history import History
from workspace.renaming import Renaming

_log = structlog.get_logger("layercake")


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one server that run."""

    database: Database
    log: LogWriter
    hub: Hub
    edge: Edge
    edits: ServerEdits
    workers: Workers
    whole: Documents
    catalogue: Catalogue
    renaming: Renaming
    bin: Bin
    copies: Copies
    history: History
    tables: GraphTables


def build_services(settings: Settings, database: Database, authenticate: Authenticator) -> Services:
    """Put the parts together; nothing runs yet."""
    documents = StoredDocuments(database)
    log = LogWriter(
        database, new_id, LogSettings(window_s=settings.log_window_s, buffer_bytes=settings.log_buffer_bytes)
    )
    hub = Hub(documents, log, log.leases, _hub_settings(settings))
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
    workers = Workers()
    whole = Documents(hub, documents, workers, settings.pending_bytes)
    edits = _server_edits(settings, hub, rows, workers)
    return Services(
        database=database,
        log=log,
        hub=hub,
        edge=edge,
        edits=edits,
        workers=workers,
        whole=whole,
        catalogue=catalogue,
        renaming=Renaming(catalogue, edits),
        bin=Bin(catalogue, BinnedRows(database)),
        copies=Copies(catalogue, rows, whole, workers),
        history=History(catalogue, Events(database)),
        tables=GraphTables(database),
    )


def _server_edits(settings: Settings, hub: Hub, graphs: Graphs, workers: Workers) -> ServerEdits:
    async def project_of(user_id: UUID, graph_id: UUID) -> UUID:
        return (await graphs.read(user_id, graph_id)).project_id

    return ServerEdits(
        hub,
        run=workers.run,
        project_of=project_of,
        new_client_id=lambda: secrets.randbelow(MAX_SERVER_CLIENT_ID) + 1,
        timeout_s=settings.edit_timeout_s,
    )


def _hub_settings(settings: Settings) -> HubSettings:
    limits = Limits(
        window_s=settings.coalescing_window_s,
        presence_window_s=settings.presence_window_s,
        waiting_bytes=settings.pending_bytes,
    )
    return HubSettings(
        load_timeout_s=settings.load_timeout_s,
        idle_unload_s=settings.idle_unload_s,
        documents_bytes=settings.documents_bytes,
        room=limits,
    )


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
