"""The parts that hold graphs while they change: of a server, and of a command that changes one."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from collab.hub import Hub, HubSettings
from collab.room import Limits
from collab.server_edits import MAX_SERVER_CLIENT_ID, ServerEdits
from persistence.database import Database
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.log_writer import LogSettings, LogWriter
from persistence.operations import StoredDocuments
from persistence.record_rows import Records
from persistence.records import Caller
from server.documents import Documents
from server.settings import Settings
from server.workers import Workers


@dataclass(frozen=True, slots=True)
class Node:
    """What serves graphs on a database: leases and log, rooms, server edits, and heavy work beside them."""

    log: LogWriter
    hub: Hub
    edits: ServerEdits
    whole: Documents
    workers: Workers


def build_node(settings: Settings, database: Database, workers: Workers) -> Node:
    """Put the parts together; nothing runs yet."""
    documents = StoredDocuments(database)
    log = LogWriter(database, new_id, _log_settings(settings))
    hub = Hub(documents, log, log.leases, _hub_settings(settings), workers.run)
    edits = _server_edits(settings, hub, database, workers)
    return Node(log, hub, edits, Documents(hub, documents, workers), workers)


@asynccontextmanager
async def running_node(settings: Settings, database: Database, workers: Workers) -> AsyncIterator[Node]:
    """Run a node without a door for the length of the block; its leases are free afterwards."""
    node = build_node(settings, database, workers)
    writing = asyncio.create_task(node.log.run(), name="log")
    try:
        yield node
    finally:
        writing.cancel()
        await asyncio.wait([writing])
        await node.hub.close()


def _server_edits(settings: Settings, hub: Hub, database: Database, workers: Workers) -> ServerEdits:
    graphs = Graphs(database)

    async def project_of(caller: Caller, graph_id: UUID) -> UUID:
        return (await graphs.read(caller, graph_id)).project_id

    return ServerEdits(
        hub,
        run=workers.run,
        project_of=project_of,
        store=Records(database).write,
        new_client_id=lambda: secrets.randbelow(MAX_SERVER_CLIENT_ID) + 1,
        timeout_s=settings.edit_timeout_s,
    )


def _log_settings(settings: Settings) -> LogSettings:
    return LogSettings(
        window_s=settings.log_window_s,
        buffer_bytes=settings.log_buffer_bytes,
        statement_timeout_s=settings.database_timeout_s,
    )


def _hub_settings(settings: Settings) -> HubSettings:
    limits = Limits(
        window_s=settings.coalescing_window_s,
        presence_window_s=settings.presence_window_s,
        waiting_bytes=settings.pending_bytes,
        update_bytes=settings.update_bytes,
        document_bytes=settings.document_bytes,
    )
    return HubSettings(
        load_timeout_s=settings.load_timeout_s,
        idle_unload_s=settings.idle_unload_s,
        documents_bytes=settings.documents_bytes,
        sessions_per_graph=settings.sessions_per_graph,
        room=limits,
    )
