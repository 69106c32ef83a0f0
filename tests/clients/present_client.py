"""A client that shows its presence as stock clients do: straight after its first message, and at every change."""

import json

from websockets.asyncio.client import ClientConnection

from collab.wire.awareness import Entry, decode_awareness, encode_awareness
from tests.clients import frames
from tests.clients.replicas import PycrdtReplica
from tests.clients.yclient import YClient

_GONE = b"null"
_MOST_ENTRIES = 1_000


class PresentClient(YClient):
    """A person with a name and a Yjs client id, which several sockets may share; sees others by client id.

    It hears as y-protocols `awareness.js` does: newer clocks win, and so does a goodbye at the same one.
    """

    def __init__(self, url: str, name: str, replica: PycrdtReplica | None = None) -> None:
        self.document = replica or PycrdtReplica()
        super().__init__(url, self.document)
        self.clock = 0
        self._name = name
        self._seen: dict[int, tuple[int, bytes]] = {}

    @property
    def client_id(self) -> int:
        return self.document.doc.client_id

    def sees(self, client_id: int) -> bool:
        """Return whether that client is present, as far as was heard on this socket."""
        return self._seen.get(client_id, (0, _GONE))[1] != _GONE

    async def announce(self) -> None:
        """Show itself again, with the next clock, as stock clients do every 15 s."""
        self.clock += 1
        await self._send(self._presence())

    async def _greet(self, socket: ClientConnection) -> None:
        await socket.send(self._presence())

    def _presence(self) -> bytes:
        state = json.dumps({"name": self._name}).encode()
        update = encode_awareness([Entry(self.client_id, self.clock, state)])
        return frames.varuint(frames.AWARENESS) + frames.varuint(len(update)) + update

    def _receive(self, frame: bytes) -> int | None:
        message, offset = frames.read_varuint(frame)
        if message == frames.AWARENESS:
            length, start = frames.read_varuint(frame, offset)
            for entry in decode_awareness(frame[start : start + length], _MOST_ENTRIES):
                if entry.client == self.client_id and entry.state == _GONE:
                    self.clock = max(self.clock, entry.clock + 1)  # nobody else removes what is shown here
                clock, _ = self._seen.get(entry.client, (-1, b""))
                if entry.clock > clock or (entry.clock == clock and entry.state == _GONE):
                    self._seen[entry.client] = (entry.clock, entry.state)
        return super()._receive(frame)
