"""What y-protocols keeps of presence in each client, and what a stock provider sends back of it.

Source: y-protocols/awareness.js, y-websocket/src/y-websocket.js `_awarenessUpdateHandler`. States stay text: those of
the tests are spelt as JSON.stringify spells them. Timeouts are left out.
"""

from collections.abc import Iterable

from collab.wire.awareness import GONE, Entry, decode_awareness, encode_awareness

_MOST_ENTRIES = 10_000


class StockAwareness:
    """The awareness of one client."""

    def __init__(self, client_id: int) -> None:
        self.client_id = client_id
        self.states: dict[int, bytes] = {}
        self._clocks: dict[int, int] = {}

    def show(self, state: bytes | None) -> bytes:
        """Set the client's own state, None for a goodbye, and return what it sends."""
        self._clocks[self.client_id] = self._clocks.get(self.client_id, -1) + 1
        self.states.pop(self.client_id, None)
        if state is not None:
            self.states[self.client_id] = state
        return self._encoded([self.client_id])

    def greeting(self) -> bytes | None:
        """Return what it sends straight after its Step1, None without a state of its own."""
        return self._encoded([self.client_id]) if self.client_id in self.states else None

    def lose_connection(self) -> None:
        """Take everyone else for gone."""
        self.states = {client: state for client, state in self.states.items() if client == self.client_id}

    def hear(self, update: bytes) -> bytes | None:
        """Apply what the server sent, and return what is repeated of it."""
        added, updated, removed = [], [], []
        for client, clock, state in decode_awareness(update, _MOST_ENTRIES):
            if not self._is_news(client, clock, state):
                continue
            kind = removed if state == GONE else updated if client in self._clocks else added
            kind.append(client)
            if state != GONE:
                self.states[client] = state
            elif client == self.client_id and client in self.states:
                clock += 1  # it is still here, and says so
            else:
                self.states.pop(client, None)
            self._clocks[client] = clock
        repeated = [*added, *updated, *removed]
        return self._encoded(repeated) if repeated else None

    def _is_news(self, client: int, clock: int, state: bytes) -> bool:
        known = self._clocks.get(client, 0)
        return known < clock or (known == clock and state == GONE and client in self.states)

    def _encoded(self, clients: Iterable[int]) -> bytes:
        return encode_awareness(Entry(one, self._clocks[one], self.states.get(one, GONE)) for one in clients)
