"""The answers to Step1s, made once for all who know the same: a graph that many join at once is encoded once.

Pure. An answer that took long to make stays good while others edit, followed by what they changed since.
"""

from collections.abc import Callable
from typing import NamedTuple

from collab.document import LiveDocument
from collab.outbox import merge
from collab.wire import sync
from collab.wire.frames import Outbound
from collab.wire.state_vector import StateVector, encode_state_vector

KEPT_S = 1.0
"""How long an answer is kept for others who ask the same."""

MOST_KEPT = 16
"""How many answers are kept at the same time."""

KEPT_BYTES = 32 * 1024 * 1024
"""The answers of a room that are kept, together, without their frames; one that would go beyond is not kept."""

LARGE_BYTES = 64 * 1024
"""From this size on an answer outlives changes: making it takes longer than sending what changed along."""

MOST_CHANGES, CHANGES_BYTES = 1_000, 64 * 1024
"""How many changes, and bytes of them together, are sent along before answers are made anew."""


class _Kept(NamedTuple):
    step2: Outbound
    changes: int
    """How many of the changes it contains."""


class Answers:
    """What the sessions of a room are answered. `schedule(delay_s, callback)` calls back once, on the same thread."""

    def __init__(self, schedule: Callable[[float, Callable[[float], None]], None]) -> None:
        self._schedule = schedule
        self._kept: dict[bytes, _Kept] = {}
        self._changes: list[bytes] = []
        self._changes_bytes = 0

    def answer(self, document: LiveDocument, known: StateVector) -> tuple[Outbound, ...]:
        """Return the messages for someone who knows `known`: a Step2, and perhaps an update of what came since.

        Raises PoisonedDocumentError if yrs fails.
        """
        key = encode_state_vector(known)
        kept = self._kept.get(key)
        if kept is None:
            kept = _Kept(sync.step2(document.difference(known)), len(self._changes))
            self._keep(key, kept)
        since = self._since(kept)
        return (kept.step2,) if since is None else (kept.step2, sync.update(since))

    def changed(self, change: bytes) -> None:
        """Let later answers contain `change`, which the document just took in."""
        if not self._kept:
            return
        self._changes.append(change)
        self._changes_bytes += len(change)
        if self._changes_bytes > CHANGES_BYTES or len(self._changes) > MOST_CHANGES:
            self.forget()
            return
        small = [key for key, kept in self._kept.items() if len(kept.step2.payload) < LARGE_BYTES]
        for key in small:
            del self._kept[key]

    def forget(self, _now: float = 0.0) -> None:
        """Make all answers anew from now on."""
        self._kept.clear()
        self._changes.clear()
        self._changes_bytes = 0

    def _since(self, kept: _Kept) -> bytes | None:
        """Return what changed since an answer was made, as one update."""
        changes = self._changes[kept.changes :]
        if not changes:
            return None
        since = merge(changes)
        if all(other.changes <= kept.changes for other in self._kept.values()):
            self._changes[kept.changes :] = [since]  # what is merged once need not be for those who come next
        return since

    def _keep(self, key: bytes, kept: _Kept) -> None:
        size_bytes = sum(len(one.step2.payload) for one in (kept, *self._kept.values()))
        if size_bytes > KEPT_BYTES or len(self._kept) >= MOST_KEPT:
            return
        if not self._kept:
            self._schedule(KEPT_S, self.forget)
        self._kept[key] = kept
