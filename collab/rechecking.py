"""Rights in use are looked up again, many at a time, and what has become of them is carried out."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

import structlog

from auth.policy import Action, Credential, Kind, Resource, may
from collab.doorkeeper import Admission
from collab.rights import Holder, OpenRights
from persistence.ports import Claim, RightsStore, Verdict

_log = structlog.get_logger("layercake.rights")

BATCH = 500
"""Channels that are looked up in one statement; one such statement is under way at a time."""

_ANSWERS_WITHIN_S = 5.0
_TRY_AGAIN_S = 0.5
_LONG_S = 0.005


class End(Enum):
    """Why nobody may go on: close code and reason."""

    EXPIRED = (4401, "what you signed in with has expired; sign in again")
    REVOKED = (4401, "what you signed in with is not valid any more; sign in again")
    FORBIDDEN = (4403, "you may not read this graph any more")
    GONE = (4404, "this graph was deleted")


READ_ONLY, READ_WRITE = "read_only", "read_write"
CHANGES = (*(end.name.lower() for end in End), READ_ONLY, READ_WRITE)
"""What can come of looking at somebody again."""


@dataclass(slots=True)
class RightsStatistics:
    """Counters since the start."""

    looked_up: int = 0
    """Channels that were looked up again."""
    changes: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(CHANGES, 0)))
    """What came of it."""


def judge(admission: Admission, verdict: Verdict, now: datetime) -> Admission | End:
    """Return what somebody may go on with."""
    principal = admission.principal
    expires_at = _expiry(principal.credential, verdict)
    if not verdict.is_valid:
        return End.REVOKED
    if expires_at is not None and expires_at <= now:
        return End.EXPIRED
    if not verdict.is_there:
        return End.GONE
    graph = Resource.of(Kind.GRAPH, verdict.role)
    if not may(principal, Action.READ, graph):
        return End.FORBIDDEN
    principal = replace(principal, credential=replace(principal.credential, expires_at=expires_at))
    return replace(admission, principal=principal, read_only=not may(principal, Action.EDIT, graph))


def _expiry(credential: Credential, verdict: Verdict) -> datetime | None:
    """Return when a credential ends: a session later than its socket knew, if it was refreshed meanwhile."""
    if credential.kind == "session" and credential.expires_at is not None and verdict.expires_at is not None:
        return max(credential.expires_at, verdict.expires_at)
    return verdict.expires_at if credential.kind in ("token", "share") else credential.expires_at


class Rechecking:
    """Carries changes of rights out on open channels.

    While the store does not answer nobody loses or gains anything, but a session that expires is let go `grace_s`
    later. Other credentials are never prolonged, and end with their time.

    `forget_graph` closes a graph that is gone for all who are in it, and `ended` hears who was let go, why, and by what
    held at which generation.
    """

    def __init__(
        self,
        rights: OpenRights,
        store: RightsStore,
        forget_graph: Callable[[UUID], None],
        ended: Callable[[Admission, End, int], None],
        *,
        grace_s: float,
    ) -> None:
        self.statistics = RightsStatistics()
        self._rights = rights
        self._store = store
        self._forget_graph = forget_graph
        self._ended = ended
        self._grace = timedelta(seconds=grace_s)
        rights.on_expiry = self._expire

    async def run(self) -> None:
        """Look at whoever is due until cancelled."""
        while True:
            await self._rights.due()
            await self._look_at(self._rights.take_due(BATCH))

    async def _look_at(self, holders: Sequence[Holder]) -> None:
        holders = [holder for holder in holders if not self._is_let_go(holder)]
        if not holders:
            return
        since, asked = self._rights.generation, [holder.admission for holder in holders]
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                verdicts = await self._store.look_up([_claim(admission) for admission in asked])
        except Exception as error:  # noqa: BLE001 - a driver whose server dies raises anything; this must outlive it
            reason = f"{type(error).__name__}: {error}"
            _log.warning("rights cannot be looked up, and stay as they are", channels=len(holders), error=reason)
            await self._bridge(holders)
            return
        self.statistics.looked_up += len(holders)
        breath = Breath()
        for holder, admission, verdict in zip(holders, asked, verdicts, strict=True):
            # One that has other rights by now was looked up for those, or will be.
            if holder in self._rights and holder.admission is admission:
                self._carry_out(holder, judge(admission, verdict, datetime.now(UTC)), since)
            await breath.take()

    def _carry_out(self, holder: Holder, outcome: Admission | End, since: int) -> None:
        if outcome == holder.admission:
            return
        if isinstance(outcome, End):
            self.statistics.changes[outcome.name.lower()] += 1
            self._ended(holder.admission, outcome, since)
            if outcome is End.GONE:
                self._forget_graph(holder.admission.graph_id)
            if holder in self._rights:
                holder.expel(*outcome.value)
            return
        if outcome.read_only != holder.admission.read_only:
            self.statistics.changes[READ_ONLY if outcome.read_only else READ_WRITE] += 1
        holder.admit_again(outcome, since)

    def _expire(self, holder: Holder) -> None:
        """Let go of one whose time is up for certain, whatever the store is at; a session may have been refreshed."""
        if not self._is_let_go(holder):
            self._rights.look_at([holder])

    def _is_let_go(self, holder: Holder) -> bool:
        """Let go of one whose time is up for certain."""
        is_over = holder.admission.principal.credential.kind != "session" and _is_expired(holder, datetime.now(UTC))
        if is_over:
            self._carry_out(holder, End.EXPIRED, self._rights.generation)
        return is_over

    async def _bridge(self, holders: Sequence[Holder]) -> None:
        """Keep everybody until the store answers, but those whose time was up long ago."""
        self._rights.look_at(holder for holder in holders if holder in self._rights)
        breath, too_old = Breath(), datetime.now(UTC) - self._grace
        for holder in self._rights.all_due:
            if holder in self._rights and _is_expired(holder, too_old):
                self._carry_out(holder, End.EXPIRED, self._rights.generation)
            await breath.take()
        await asyncio.sleep(_TRY_AGAIN_S)


class Breath:
    """Lets others have the event loop after a few milliseconds of work."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _LONG_S

    async def take(self) -> None:
        """Return at once, or in the next turn of the loop."""
        if time.monotonic() >= self._until:
            await asyncio.sleep(0)
            self._until = time.monotonic() + _LONG_S


def _is_expired(holder: Holder, now: datetime) -> bool:
    expires_at = holder.admission.principal.credential.expires_at
    return expires_at is not None and expires_at <= now


def _claim(admission: Admission) -> Claim:
    principal = admission.principal
    role = None if principal.grant is None else principal.grant.role
    return Claim(principal.id, admission.graph_id, principal.credential.kind, principal.credential.id, role)
