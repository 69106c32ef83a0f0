"""What changed and is quiet since, so that work follows the last of many changes, not each of them.

Pure: `now` is the loop's clock, in seconds.
"""

from dataclasses import dataclass
from uuid import UUID

MAX_WAITING = 1_000
"""How much may be waiting for quiet; a change of anything further is not followed."""


@dataclass(frozen=True, slots=True)
class _Changed:
    user_id: UUID
    first_at: float
    last_at: float


class Quiet:
    """Projects or graphs that changed, and who changed each last.

    One is due when nothing changed it for `quiet_s`, or `most_s` after the first change although it goes on.
    """

    def __init__(self, quiet_s: float, most_s: float) -> None:
        self._quiet_s = quiet_s
        self._most_s = most_s
        self._changed: dict[UUID, _Changed] = {}

    def heard(self, changed_id: UUID, user_id: UUID, now: float) -> bool:
        """Note a change; return False if too much is waiting already."""
        before = self._changed.get(changed_id)
        if before is None and len(self._changed) >= MAX_WAITING:
            return False
        self._changed[changed_id] = _Changed(user_id, now if before is None else before.first_at, now)
        return True

    def next_at(self) -> float | None:
        """Return when the next one is due, None if there is none."""
        return min(map(self._due_at, self._changed.values()), default=None)

    def take_due(self, now: float) -> list[tuple[UUID, UUID]]:
        """Return what is due, each with the user, and forget it."""
        due = [(changed_id, one.user_id) for changed_id, one in self._changed.items() if self._due_at(one) <= now]
        for changed_id, _ in due:
            del self._changed[changed_id]
        return due

    def _due_at(self, changed: _Changed) -> float:
        return min(changed.last_at + self._quiet_s, changed.first_at + self._most_s)
