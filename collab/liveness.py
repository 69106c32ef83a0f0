"""Whether both ends of a connection still hear each other, counted in ticks.

y-websocket clients give up after 30 s without a message; half-open sockets are found by pings.
"""

from enum import Enum, auto


class Need(Enum):
    """What a connection needs now."""

    NOTHING = auto()
    A_MESSAGE = auto()
    A_PING = auto()
    AN_END = auto()


class Liveness:
    """Counts the ticks without a word in either direction."""

    def __init__(self, silent_ticks: int, deaf_ticks: int) -> None:
        self.has_sent = True
        """Set whenever a message went out."""
        self.has_received = True
        """Set whenever anything came in."""
        self._silent_limit, self._deaf_limit = silent_ticks, deaf_ticks
        self._silent = self._deaf = 0

    def tick(self, *, is_reading: bool) -> Need:
        """Count one tick and return what is needed; a client we do not read from is not held to answer."""
        self._silent = 0 if self.has_sent else self._silent + 1
        self._deaf = 0 if self.has_received or not is_reading else self._deaf + 1
        self.has_sent = self.has_received = False
        if self._deaf >= 2 * self._deaf_limit:
            return Need.AN_END
        if self._deaf == self._deaf_limit:
            return Need.A_PING
        return Need.A_MESSAGE if self._silent >= self._silent_limit else Need.NOTHING
