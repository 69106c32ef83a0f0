"""The audit log: who did or tried what from where, and who may read it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from auth.clients import Client
from auth.errors import ForbiddenError
from auth.policy import INSTALLATION, OPERATOR, Action, Kind, Principal, Resource, may
from auth.ports import AuditStore, GroupStore
from persistence.errors import NotFoundError
from persistence.group_records import AuditRow
from persistence.people_records import AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where; the command line is nowhere."""

    principal: Principal
    client: Client = Client(None, None)  # noqa: RUF009 - immutable

    def did(
        self, action: str, *, group_id: UUID | None = None, graph_id: UUID | None = None, **details: Any
    ) -> AuditEntry:
        """Return the entry that tells of something done."""
        return AuditEntry(
            action,
            "done",
            self.principal.id,
            group_id=group_id,
            graph_id=graph_id,
            details=details,
            address=self.client.address,
            user_agent=self.client.user_agent,
        )


TERMINAL = Actor(OPERATOR)
"""Whoever uses the command line on the machine of the database."""


class Audit:
    """The audit log, for admins of the installation; for admins of a group, what is about it."""

    def __init__(self, store: AuditStore, groups: GroupStore) -> None:
        self._store = store
        self._groups = groups

    async def page(
        self, principal: Principal, group_id: UUID | None, before: int | None, limit: int
    ) -> tuple[AuditRow, ...]:
        """Return the newest `limit` entries older than `before`. Raises ForbiddenError, NotFoundError for a group."""
        await self._authorise(principal, group_id)
        return await self._store.page(principal.caller, group_id, before, limit)

    async def _authorise(self, principal: Principal, group_id: UUID | None) -> None:
        if may(principal, Action.READ, INSTALLATION):
            return
        if group_id is None:
            raise ForbiddenError(Action.READ, Kind.INSTALLATION)
        group = Resource.of(Kind.GROUP, (await self._groups.read(principal.caller, group_id)).role)
        if not may(principal, Action.READ, group):
            raise NotFoundError("group", group_id)
        if not may(principal, Action.MANAGE, group):
            raise ForbiddenError(Action.MANAGE, Kind.GROUP)

    async def exported(self, actor: Actor, graph_id: UUID, project_id: UUID, export_format: str) -> None:
        """Note that somebody took a graph out, in a format."""
        group_id = await self._groups.of_project(project_id)
        entry = actor.did("graph.exported", group_id=group_id, graph_id=graph_id, format=export_format)
        await self._store.append(entry)

    async def archived(self, actor: Actor, project_id: UUID) -> None:
        """Note that somebody took a whole project out."""
        group_id = await self._groups.of_project(project_id)
        await self._store.append(actor.did("project.archived", group_id=group_id, project_id=str(project_id)))
