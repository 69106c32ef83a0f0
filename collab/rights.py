"""The rights that channels hold: found by what they hang on, and by when they end.

Whoever lets a channel in reads `generation` before it asks what may be done: what has changed since then is looked at
again. So no change falls between the question and the moment from which notices reach the channel.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from collab.doorkeeper import Admission
from persistence.ports import RightsNotice

TOKEN_RENEWAL_S = 60.0
_SHARE_OF_LIFE = 4
_LOOK_AT_CLOCK_S = 60.0
_ASK_AGAIN_AFTER = timedelta(seconds=5)

_Key = tuple[str, UUID]


class Holder(Hashable, Protocol):
    """A channel, which holds rights as long as it is watched. None of its methods waits."""

    admission: Admission

    def admit_again(self, admission: Admission, since: int) -> None:
        """Go on with other rights, known since that generation."""

    def expel(self, code: int, reason: str) -> None:
        """End: no rights are left."""

    def ask_for_token(self) -> None:
        """Ask the client for a newer token, if it understands that."""


@dataclass(slots=True)
class _Watch:
    keys: tuple[_Key, ...]
    expires_at: datetime | None
    asks_at: datetime | None = None
    """When the client is to be asked for a newer token; None once it was."""
    timer: asyncio.TimerHandle | None = None


class OpenRights:
    """Every watched channel, and which of them have to be looked at again.

    Clients are asked for a newer token `token_renewal_s` before theirs expires, and not before three quarters of what
    was left of its life have passed.
    """

    def __init__(self, token_renewal_s: float = TOKEN_RENEWAL_S) -> None:
        self.generation = 0
        """How often rights have changed."""
        self._renewal = timedelta(seconds=token_renewal_s)
        self._watched: dict[Holder, _Watch] = {}
        self._by_key: dict[_Key, set[Holder]] = {}
        self._due: dict[Holder, None] = {}
        self._is_due = asyncio.Event()
        self.on_expiry: Callable[[Holder], None] = self._look_at_one
        """What is done with one whose time is up."""

    def __contains__(self, holder: Holder) -> bool:
        return holder in self._watched

    def watch(self, holder: Holder, since: int) -> None:
        """Watch `holder`, whose rights were asked for at the generation `since`, until `forget`."""
        before = self._watched.get(holder)
        self.forget(holder)
        expires_at = holder.admission.principal.credential.expires_at
        watch = self._watched[holder] = _Watch(_keys(holder.admission), expires_at)
        for key in watch.keys:
            self._by_key.setdefault(key, set()).add(holder)
        if expires_at is not None:
            now = datetime.now(UTC)
            if before is not None and before.expires_at == expires_at:
                watch.asks_at = before.asks_at
            else:
                watch.asks_at = expires_at - min(self._renewal, (expires_at - now) / _SHARE_OF_LIFE)
            self._set_timer(holder, watch, expires_at, now)
        if since != self.generation:
            self.look_at([holder])

    def ask_again(self, holder: Holder) -> None:
        """Have a client asked for a newer token a few seconds later, if `holder` is watched still."""
        watch = self._watched.get(holder)
        if watch is not None and watch.timer is not None and watch.expires_at is not None:
            now = datetime.now(UTC)
            watch.timer.cancel()
            watch.asks_at = now + _ASK_AGAIN_AFTER
            self._set_timer(holder, watch, watch.expires_at, now)

    def forget(self, holder: Holder) -> None:
        """Watch `holder` no more. Idempotent."""
        watch = self._watched.pop(holder, None)
        self._due.pop(holder, None)
        if watch is None:
            return
        if watch.timer is not None:
            watch.timer.cancel()
        for key in watch.keys:
            holders = self._by_key[key]
            holders.discard(holder)
            if not holders:
                del self._by_key[key]

    def changed(self, notice: RightsNotice | None) -> None:
        """Have those looked at whom a change may concern: everybody, if it is not known what has changed."""
        self.generation += 1
        if notice is None or notice.kind == "project":  # nobody knows here which graphs are in a project
            self.look_at(self._watched)
        else:
            self.look_at(self._by_key.get(notice, ()))

    def look_at(self, holders: Iterable[Holder]) -> None:
        """Have `holders` looked at, after those who wait already."""
        self._due.update(dict.fromkeys(holders))
        if self._due:
            self._is_due.set()

    @property
    def all_due(self) -> tuple[Holder, ...]:
        """Those to look at."""
        return tuple(self._due)

    async def due(self) -> None:
        """Wait until there is somebody to look at."""
        await self._is_due.wait()

    def take_due(self, limit: int) -> list[Holder]:
        """Return up to `limit` of those to look at, who are not to be looked at any more then."""
        taken = list(self._due)[:limit]
        for holder in taken:
            del self._due[holder]
        if not self._due:
            self._is_due.clear()
        return taken

    def _look_at_one(self, holder: Holder) -> None:
        self.look_at([holder])

    def _set_timer(self, holder: Holder, watch: _Watch, expires_at: datetime, now: datetime) -> None:
        left_s = (min(watch.asks_at or expires_at, expires_at) - now).total_seconds()
        # The wall clock may be set meanwhile, which no timer notices.
        delay_s = min(max(left_s, 0), _LOOK_AT_CLOCK_S)
        watch.timer = asyncio.get_running_loop().call_later(delay_s, self._on_time, holder, watch, expires_at)

    def _on_time(self, holder: Holder, watch: _Watch, expires_at: datetime) -> None:
        now = datetime.now(UTC)
        if now >= expires_at:
            self.on_expiry(holder)
            return
        if watch.asks_at is not None and now >= watch.asks_at:
            watch.asks_at = None
            holder.ask_for_token()
        self._set_timer(holder, watch, expires_at, now)


def _keys(admission: Admission) -> tuple[_Key, ...]:
    """Return what notices would be about that concern these rights."""
    principal, credential = admission.principal, admission.principal.credential
    keys: list[_Key] = [("user", principal.id), ("graph", admission.graph_id)]
    if credential.id is not None:
        keys.append((credential.kind, credential.id))
    return tuple(keys)
