"""What was refused, on its way into the audit log."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import structlog

from auth.clients import Client
from auth.policy import Principal
from persistence.audit import Refusal
from persistence.people_records import AuditEntry
from persistence.records import ANONYMOUS_USER_ID

FLUSH_EVERY_S = 0.5
NO_ROLE = "has no role in this graph"
"""What admins are told of those who are told that there is no such graph."""

_log = structlog.get_logger("layercake.audit")


class RefusalLog(Protocol):
    """Where refusals are written, such as `persistence.audit.AuditLog`."""

    async def append_refusals(self, refusals: Sequence[Refusal]) -> None: ...


class Refusals:
    """Refusals that wait to be written, at most `limit`: more of them are only counted."""

    def __init__(self, log: RefusalLog, limit: int) -> None:
        self._log = log
        self._limit = limit
        self._waiting: deque[Refusal] = deque()
        self._flushing = asyncio.Lock()
        self.lost = 0
        """How many were not written, since too many waited or the database did not answer."""

    def note(
        self,
        action: str,
        reason: str,
        principal: Principal | None,
        client: Client,
        *,
        group_id: UUID | None = None,
        graph_id: UUID | None = None,
        project_id: UUID | None = None,
    ) -> None:
        """Have written that something was refused, unless it is about a graph that is not there; never waits."""
        if len(self._waiting) >= self._limit:
            self.lost += 1
            return
        entry = AuditEntry(
            action,
            "refused",
            ANONYMOUS_USER_ID if principal is None else principal.id,
            reason=reason,
            group_id=group_id,
            graph_id=graph_id,
            details={} if principal is None else {"credential": principal.credential.kind},
            address=client.address,
            user_agent=client.user_agent,
        )
        self._waiting.append(Refusal(entry, project_id))

    async def run(self) -> None:
        """Write what waits twice a second until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits, after what is being written; what the database does not take is counted as lost."""
        async with self._flushing:
            if self._waiting:
                batch = tuple(self._waiting)
                self._waiting.clear()
                await self._write(batch)

    async def _write(self, batch: Sequence[Refusal]) -> None:
        try:
            await self._log.append_refusals(batch)
        except Exception as error:  # noqa: BLE001 - a driver whose server dies raises anything; this must outlive it
            self.lost += len(batch)
            reason = f"{type(error).__name__}: {error}"
            _log.warning("refusals are missing in the audit log", refusals=len(batch), error=reason)
