"""What was refused, on its way into the audit log."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from time import monotonic
from typing import Protocol
from uuid import UUID

import structlog

from auth.clients import Client
from auth.policy import Principal
from persistence.audit import Refusal
from persistence.people_records import AuditEntry
from persistence.records import ANONYMOUS_USER_ID

FLUSH_EVERY_S = 0.5
REPEATED_AFTER_S = 60.0
MAX_TOLD = 10_000
"""Refusals of the last minute that are remembered; the oldest go first."""
MAX_ANONYMOUS_A_MINUTE = 60
"""Of people who are not known, wherever they come from."""
NO_ROLE = "has no role in this graph"
"""What admins are told of those who are told that there is no such graph."""

_log = structlog.get_logger("layercake.audit")


class RefusalLog(Protocol):
    """Where refusals are written, such as `persistence.audit.AuditLog`."""

    async def append_refusals(self, refusals: Sequence[Refusal]) -> None: ...


class Refusals:
    """Refusals that wait to be written, at most `limit`: more of them are only counted.

    So are the same ones within a minute, and those of strangers beyond MAX_ANONYMOUS_A_MINUTE, or while half of the
    places are taken: who has no account neither fills the log nor displaces what is told of others.
    """

    def __init__(self, log: RefusalLog, limit: int, clock: Callable[[], float] = monotonic) -> None:
        self._log = log
        self._limit = limit
        self._clock = clock
        self._told: dict[Hashable, float] = {}
        self._anonymous: deque[float] = deque(maxlen=MAX_ANONYMOUS_A_MINUTE)
        self._waiting: deque[Refusal] = deque()
        self._flushing = asyncio.Lock()
        self.lost = 0
        """How many were not written, since too many waited or the database did not answer."""
        self.repeated = 0
        """How many were not written, since the same was written within the minute before."""

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
        same = (action, entry.user_id, client.network, graph_id, project_id, group_id)
        self._add(Refusal(entry, project_id), same, self._clock())

    def _add(self, refusal: Refusal, same: Hashable, now: float) -> None:
        if now - self._told.get(same, -REPEATED_AFTER_S) < REPEATED_AFTER_S:
            self.repeated += 1
        elif not self._has_room(now, is_anonymous=refusal.entry.user_id == ANONYMOUS_USER_ID):
            self.lost += 1
        else:
            self._told.pop(same, None)
            while len(self._told) >= MAX_TOLD:
                del self._told[next(iter(self._told))]
            self._told[same] = now
            self._waiting.append(refusal)

    def _has_room(self, now: float, *, is_anonymous: bool) -> bool:
        """Return whether one more may wait; an anonymous one is counted then."""
        if not is_anonymous:
            return len(self._waiting) < self._limit
        is_full = len(self._anonymous) == MAX_ANONYMOUS_A_MINUTE and now - self._anonymous[0] < REPEATED_AFTER_S
        if is_full or len(self._waiting) >= (self._limit + 1) // 2:
            return False
        self._anonymous.append(now)
        return True

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
