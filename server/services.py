"""Which parts one server has, and how they hang together."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from collab.edge import ConnectionReport, DocumentReport, Edge, EdgeSettings
from collab.rechecking import Rechecking
from collab.rights import OpenRights
from persistence.audit import AuditLog
from persistence.bin import BinnedRows
from persistence.database import Database
from persistence.events import Events
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.projects import Projects
from persistence.quarantine import Quarantine as QuarantineRows
from persistence.rights import RightsNotices, StoredRights
from persistence.tables import GraphTables
from server.accounts import Accounts, build_accounts
from server.community import Community, build_community
from server.door import Authenticator, Door
from server.node import Node, build_node
from server.origin import Origin, OriginPolicy
from server.recent_refusals import RecentRefusals
from server.refusals import Refusals
from server.settings import Settings
from server.supervision import MaintenanceProcess
from server.visitors import Visitors
from server.workers import Workers
from workspace.bin import Bin
from workspace.catalogue import Catalogue
from workspace.copying import Copies
from workspace.history import History
from workspace.quarantine import Quarantine
from workspace.renaming import Renaming

_log = structlog.get_logger("layercake")


@dataclass(frozen=True, slots=True)
class Rights:
    """What keeps the rights of open sockets true."""

    open: OpenRights
    rechecking: Rechecking
    notices: RightsNotices
    recent: RecentRefusals

    def work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what has to run."""
        return self.rechecking.run(), self.notices.run(self.open.changed)


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one server that run."""

    database: Database
    node: Node
    edge: Edge
    visitors: Visitors
    origins: OriginPolicy
    rights: Rights
    catalogue: Catalogue
    renaming: Renaming
    bin: Bin
    copies: Copies
    history: History
    quarantine: Quarantine
    tables: GraphTables
    community: Community
    refusals: Refusals
    accounts: Accounts
    maintenance: MaintenanceProcess


def build_services(settings: Settings, database: Database, authenticate: Authenticator) -> Services:
    """Put the parts together; nothing runs yet."""
    node, rows = build_node(settings, database, Workers()), Graphs(database)
    accounts = build_accounts(settings, database)
    refusals = Refusals(AuditLog(database), settings.audit_refusals)
    edge_settings = EdgeSettings(
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
    visitors, origins = Visitors(settings.trusted_proxies, settings.is_secure), _origins(settings)
    rights = _rights(settings, database, node)
    door = Door(authenticate, rows, visitors, origins, rights.recent, refusals)
    edge = Edge(node.hub, door, lambda: str(new_id()), _tell_end, _tell_document_end, edge_settings, rights=rights.open)

    async def after_delete(graph_id: UUID) -> None:
        node.hub.forget_graph(graph_id)

    catalogue = Catalogue(Projects(database), rows, after_delete)
    return Services(
        database=database,
        node=node,
        edge=edge,
        visitors=visitors,
        origins=origins,
        rights=rights,
        catalogue=catalogue,
        renaming=Renaming(catalogue, node.edits),
        bin=Bin(catalogue, BinnedRows(database)),
        copies=Copies(catalogue, rows, node.whole, node.workers),
        history=History(catalogue, Events(database)),
        quarantine=Quarantine(catalogue, QuarantineRows(database), node.hub.open, node.hub.reload),
        tables=GraphTables(database),
        accounts=accounts,
        community=build_community(database, accounts.passwords),
        refusals=refusals,
        maintenance=MaintenanceProcess(settings, database.url),
    )


def _origins(settings: Settings) -> OriginPolicy:
    return OriginPolicy(
        is_open=settings.open,
        public=None if settings.public_url is None else Origin.of(settings.public_url),
        hosts=frozenset(settings.allowed_hosts),
        pages=frozenset(map(Origin.of, settings.allowed_origins)),
    )


def _rights(settings: Settings, database: Database, node: Node) -> Rights:
    rights, notices = OpenRights(settings.token_renewal_s), RightsNotices(database)
    recent = RecentRefusals(rights, lambda: notices.is_listening)
    rechecking = Rechecking(
        rights, StoredRights(database), node.hub.forget_graph, recent.ended, grace_s=settings.rights_grace_s
    )
    return Rights(rights, rechecking, notices, recent)


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
