"""Which parts one server has, and how they hang together."""

from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from collab.edge import Edge
from collab.rechecking import Rechecking
from collab.rights import OpenRights
from persistence.audit import AuditLog
from persistence.bin import BinnedRows
from persistence.database import Database
from persistence.events import Events
from persistence.graphs import Graphs
from persistence.manual_edits import ManualEdits as ManualEditRows
from persistence.projects import Projects
from persistence.quarantine import Quarantine as QuarantineRows
from persistence.replay_rules import StoredReplayRules
from persistence.replays import Replays as ReplayRows
from persistence.rights import RightsNotices, StoredRights
from persistence.roles import RolesAtTheDoor
from persistence.tables import GraphTables
from replay.service import Rebuilds
from server.accounts import Accounts, build_accounts
from server.capture import FollowedCapture
from server.community import Community, build_community
from server.door import Authenticator, Door
from server.executions import PlanRuns, build_plan_runs
from server.node import Node, build_node
from server.origin import Origin, OriginPolicy
from server.planning import Planning, build_planning
from server.rebuilding import build_rebuilds
from server.recent_refusals import RecentRefusals
from server.refusals import Refusals
from server.settings import Settings
from server.sockets import build_edge
from server.supervision import MaintenanceProcess
from server.visitors import Visitors
from server.workers import Workers
from workspace.bin import Bin
from workspace.catalogue import Catalogue
from workspace.copying import Copies
from workspace.history import History
from workspace.manual_edits import ManualEdits
from workspace.quarantine import Quarantine
from workspace.renaming import Renaming
from workspace.replays import Replays


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
class Replaying:
    """What rebuilds graphs and runs plans, and what people are told and may say of it."""

    rebuilds: Rebuilds
    replays: Replays
    edits: ManualEdits
    plan_runs: PlanRuns
    planning: Planning


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
    replaying: Replaying
    community: Community
    refusals: Refusals
    accounts: Accounts
    maintenance: MaintenanceProcess


def build_services(settings: Settings, database: Database, authenticate: Authenticator) -> Services:
    """Put the parts together; nothing runs yet."""
    node, rows = build_node(settings, database, Workers()), Graphs(database)
    accounts = build_accounts(settings, database)
    refusals = Refusals(AuditLog(database), settings.audit_refusals)
    visitors, origins = Visitors(settings.trusted_proxies, settings.is_secure), _origins(settings)
    rights = _rights(settings, database, node)
    door = Door(authenticate, RolesAtTheDoor(database), visitors, origins, rights.recent, refusals)
    catalogue = Catalogue(Projects(database), rows, partial(_close, node))
    maintenance = MaintenanceProcess(settings, database.url)
    return Services(
        database=database,
        node=node,
        edge=build_edge(settings, node.hub, door, rights.open),
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
        replaying=_replaying(settings, database, node, catalogue, maintenance),
        accounts=accounts,
        community=build_community(database, accounts.passwords),
        refusals=refusals,
        maintenance=maintenance,
    )


def _replaying(
    settings: Settings, database: Database, node: Node, catalogue: Catalogue, maintenance: MaintenanceProcess
) -> Replaying:
    store = ReplayRows(database)
    capture = FollowedCapture(store, maintenance.wake, settings.capture_timeout_s)
    rebuilds = build_rebuilds(database, node, capture)
    plan_runs = build_plan_runs(settings, database, node, catalogue, rebuilds)
    return Replaying(
        rebuilds,
        Replays(catalogue, store, StoredReplayRules(database), rebuilds),
        ManualEdits(catalogue, ManualEditRows(database), rebuilds, capture, node.edits),
        plan_runs,
        build_planning(database, node, catalogue, plan_runs.automatic.plan_changed),
    )


async def _close(node: Node, graph_id: UUID) -> None:
    node.hub.forget_graph(graph_id)


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
