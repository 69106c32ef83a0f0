"""The websocket edge of a server: its bounds, and the lines of the log that tell how connections end."""

import structlog

from collab.doorkeeper import Doorkeeper
from collab.edge import ConnectionReport, DocumentReport, Edge, EdgeSettings
from collab.hub import Hub
from collab.rights import OpenRights
from persistence.identifiers import new_id
from server.settings import Settings

_log = structlog.get_logger("layercake")


def build_edge(settings: Settings, hub: Hub, door: Doorkeeper, rights: OpenRights) -> Edge:
    """Put the edge together; nothing runs yet."""
    return Edge(hub, door, lambda: str(new_id()), _tell_end, _tell_document_end, _bounds(settings), rights=rights)


def _bounds(settings: Settings) -> EdgeSettings:
    return EdgeSettings(
        message_bytes=settings.message_bytes,
        write_buffer_bytes=settings.write_buffer_bytes,
        messages_per_s=settings.messages_per_s,
        connections_per_address=settings.connections_per_address,
        behind_timeout_s=settings.behind_timeout_s,
        tick_s=settings.liveness_tick_s,
        authentication_timeout_s=settings.authentication_timeout_s,
        unopened_bytes=settings.unopened_bytes,
        socket_documents=settings.socket_documents,
        stateless_bytes=settings.stateless_bytes,
        decisions=max(1, settings.database_pool_size // 2),
        join_timeout_s=settings.load_timeout_s + settings.database_timeout_s,
    )


def _tell_end(report: ConnectionReport) -> None:
    _log.info(
        "connection ended",
        connection=report.connection_id,
        address=report.address,
        graph=str(report.graph_id) if report.graph_id else None,
        user=str(report.user_id) if report.user_id else None,
        read_only=report.read_only,
        documents=report.documents,
        status=report.status,
        code=report.close_code,
        reason=report.close_reason,
        messages=report.messages,
        received_bytes=report.received_bytes,
        sent_bytes=report.sent_bytes,
        times_behind=report.times_behind,
        duration_s=round(report.duration_s, 3),
    )


def _tell_document_end(report: DocumentReport) -> None:
    _log.info(
        "document left",
        connection=report.connection_id,
        session=report.session_id,
        graph=str(report.graph_id),
        user=str(report.user_id),
        read_only=report.read_only,
        code=report.code,
        reason=report.reason,
        duration_s=round(report.duration_s, 3),
    )
