"""Whoever has a graph open, as the rest of the server sees them: told things, and seen to edit."""

from uuid import UUID

from collab.hub import Hub
from collab.session import Live


class Audience:
    """The people in the rooms of a hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def tell(self, graph_id: UUID, notice: bytes) -> None:
        """Tell all who have a graph open a JSON object, but for those who read too slowly to hear it."""
        room = self._hub.live(graph_id)
        for session in [] if room is None else list(room.sessions):
            if isinstance(session.reading, Live):
                session.peer.tell(notice)

    def edits(self, graph_id: UUID) -> int:
        """Return a number that grows with every edit, 0 if nobody has the graph open."""
        room = self._hub.live(graph_id)
        return 0 if room is None else room.appended
