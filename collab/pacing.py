"""How soon a document that failed is made anew: whoever brings it down again and again holds up its graph alone.

Pure. Times are seconds of a monotonic clock.
"""

from typing import NamedTuple
from uuid import UUID

FIRST_PAUSE_S = 0.1
"""The pause before a document is healed that failed a while ago; it doubles with each further time."""

MOST_PAUSE_S = 5.0

CALM_S = 60.0
"""After so long without failing, a document counts as one that never failed."""


class _Failures(NamedTuple):
    last_at: float
    next_pause_s: float


class Pacing:
    """What failed lately, and how long it rests the next time."""

    def __init__(self) -> None:
        self._failures: dict[UUID, _Failures] = {}

    def pause_s(self, graph_id: UUID, now: float) -> float:
        """Return how long to wait before the document of a graph, which failed just now, is healed."""
        self.forget(now)
        failures = self._failures.get(graph_id)
        pause_s = 0.0 if failures is None else failures.next_pause_s
        self._failures[graph_id] = _Failures(now, min(2 * pause_s, MOST_PAUSE_S) or FIRST_PAUSE_S)
        return pause_s

    def forget(self, now: float) -> None:
        """Forget the graphs that were calm for CALM_S."""
        for graph_id, failures in list(self._failures.items()):
            if now - failures.last_at >= CALM_S:
                del self._failures[graph_id]
