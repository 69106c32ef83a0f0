"""Whoever was refused a moment ago is refused again without asking the database.

Clients come back within seconds, whatever they were told, and a thousand of them that lost their rights together would
otherwise keep the database busy (`make bench-refused`).
"""

from collections.abc import Callable
from hashlib import sha256
from time import monotonic

from collab.doorkeeper import NO_SUCH_GRAPH, Admission, RefusedError, Visitor
from collab.rechecking import End
from collab.rights import OpenRights

REMEMBERED_S = 10.0
"""Stock clients wait 2.5 s at most before they try again."""
MOST = 10_000
"""Refusals that are remembered; the oldest go first."""
_UNKNOWN = 4401
_REMEMBERED = (401, 404)


class RecentRefusals:
    """Refusals since rights last changed; none while changes are not heard of."""

    def __init__(self, rights: OpenRights, is_listening: Callable[[], bool]) -> None:
        self._rights = rights
        self._is_listening = is_listening
        self._generation = rights.generation
        self._refused: dict[bytes, tuple[float, RefusedError]] = {}

    def __len__(self) -> int:
        return len(self._refused)

    @property
    def generation(self) -> int:
        """How often rights have changed, to be read before it is asked what may be done."""
        return self._rights.generation

    def ended(self, admission: Admission, end: End, since: int) -> None:
        """Remember one who was let go: their client is about to come again."""
        code, reason = end.value
        if admission.key:
            self.add(admission.key, RefusedError(*((401, reason) if code == _UNKNOWN else (404, NO_SUCH_GRAPH))), since)

    def check(self, key: bytes) -> None:
        """Raise RefusedError if that is what was answered to `key`."""
        self._clear_if_changed()
        until, error = self._refused.get(key, (0.0, None))
        if error is not None and monotonic() < until:
            raise RefusedError(error.status, error.detail)

    def add(self, key: bytes, error: RefusedError, since: int) -> None:
        """Remember what was answered, by what held at the generation `since`."""
        self._clear_if_changed()
        if error.status not in _REMEMBERED or error.is_passing or since != self.generation:
            return
        self._refused.pop(key, None)
        while len(self._refused) >= MOST:
            del self._refused[next(iter(self._refused))]
        self._refused[key] = (monotonic() + REMEMBERED_S, error)

    def _clear_if_changed(self) -> None:
        if self._generation != self.generation or not self._is_listening():
            self._refused.clear()
            self._generation = self.generation


def key_of(visitor: Visitor, token: str, place: str) -> bytes:
    """Return what stands for a token, whence it came, and where it was to open."""
    return sha256(repr((token, visitor.host, visitor.origin, place)).encode()).digest()
