"""Published y-websocket and Hocuspocus providers in one Node process, driven from Python."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from tests.clients.frames import read_state_vector
from tests.clients.replicas import Content, Step

WAIT_S = 30
_LONGEST_LINE_BYTES = 64 * 2**20
_HERE = Path(__file__).parent

Version = Literal[1, 2, 3, "h2", "h3", "h4"]
"""A major version of y-websocket, or of the Hocuspocus provider."""
HOCUSPOCUS: dict[Version, str] = {"h2": "hocuspocus 2.15.3", "h3": "hocuspocus 3.4.4", "h4": "hocuspocus 4.8.0"}
VERSIONS: dict[Version, str] = {1: "1.5.4", 2: "2.1.0", 3: "3.1.0", **HOCUSPOCUS}
TOKEN = "admin"


class NodeError(Exception):
    """A command failed inside Node; the message is its stack trace."""


class NodeClients:
    """The Node process. `complaints` are messages that a provider did not understand.

    Every call ends after WAIT_S with TimeoutError. Leaving the context ends the process.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.complaints: list[str] = []
        self._process = process
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._closes: dict[str, asyncio.Queue[int | None]] = {}

    @staticmethod
    @asynccontextmanager
    async def started() -> AsyncIterator["NodeClients"]:
        """Start Node, which needs `npm ci` to have run in this folder."""
        process = await asyncio.create_subprocess_exec(
            "node",
            "driver.mjs",
            cwd=_HERE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE_BYTES,
        )
        clients = NodeClients(process)
        reader = asyncio.create_task(clients._read())
        try:
            yield clients
        finally:
            await clients._end(reader)

    async def open(
        self,
        version: Version,
        url: str,
        room: str,
        client_id: int | None = None,
        *,
        is_present: bool = True,
        socket: str | None = None,
        token: str = TOKEN,
        session_aware: bool = False,
    ) -> "NodeClient":
        """Open a provider of `version`; it connects, and reconnects, by itself. `url` ends with `/sync`.

        Hocuspocus ones that name the same `socket` share it. y-websocket ones send no token.
        """
        name = f"{VERSIONS[version]}-{next(self._numbers)}"
        self._closes[name] = asyncio.Queue()
        if version in HOCUSPOCUS:
            url = url.removesuffix("/sync") + "/hocuspocus"
        options = {"socket": socket, "token": token, "session_aware": session_aware, "is_present": is_present}
        await self.call("open", name, version=version, url=url, room=room, client_id=client_id, **options)
        return NodeClient(self, name)

    async def call(self, do: str, client: str, **arguments: Any) -> Any:
        """Run one command and return its answer."""
        number = next(self._numbers)
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"call": number, "do": do, "client": client, **arguments})
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await asyncio.wait_for(self._process.stdin.drain(), WAIT_S)
        return await asyncio.wait_for(answer, WAIT_S)

    async def close_code(self, client: str) -> int | None:
        """Wait for the next close of a client's connection; None when it closed itself."""
        return await asyncio.wait_for(self._closes[client].get(), WAIT_S)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._take(json.loads(line))
        for call in self._calls.values():
            call.cancel("the Node process ended")

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"call": number, "result": result}:
                self._settle(number).set_result(result)
            case {"call": number, "error": error}:
                self._settle(number).set_exception(NodeError(error))
            case {"event": "close", "client": client, "code": code}:
                self._closes[client].put_nowait(code)
            case {"event": "complaint", "words": words}:
                self.complaints.append(words)

    def _settle(self, number: int) -> "asyncio.Future[Any]":
        call = self._calls.pop(number)
        # A caller that has given up is not answered; the answer goes to a future nobody holds.
        return asyncio.get_running_loop().create_future() if call.done() else call

    async def _end(self, reader: "asyncio.Task[None]") -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), WAIT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise
        finally:
            await reader


class NodeClient:
    """One provider with its document, whose roots are `map`, `array`, `text` and `xml`."""

    def __init__(self, node: NodeClients, name: str) -> None:
        self._node = node
        self.name = name

    async def __aenter__(self) -> "NodeClient":
        await self.synced()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def synced(self) -> None:
        """Wait until the provider says that it has the server's state."""
        await self._node.call("synced", self.name)

    async def edit(self, *steps: Step) -> None:
        """Make `steps` in one transaction."""
        await self._node.call("edit", self.name, steps=steps)

    async def type(self, patches: list[list[Any]]) -> None:
        """Type `[position, deleted, inserted]` into the text, one transaction each."""
        await self._node.call("type", self.name, patches=patches)

    async def saved(self) -> None:
        """Wait until everything sent so far is acknowledged as durable."""
        await self._node.call("saved", self.name)

    async def disconnect(self) -> None:
        await self._node.call("offline", self.name)

    async def connect(self) -> None:
        """Connect again and wait until synced."""
        await self._node.call("online", self.name)
        await self.synced()

    async def leave(self, *steps: Step) -> None:
        """Make a last edit and destroy the provider in the same breath."""
        await self._node.call("leave", self.name, steps=steps)

    async def announce(self, state: dict[str, Any] | None) -> None:
        """Set the presence of this client; None removes it."""
        await self._node.call("announce", self.name, state=state)

    async def presence(self) -> dict[int, Any]:
        """Return the presence that this client sees, its own included, by client id."""
        states = await self._node.call("presence", self.name)
        return {int(client): state for client, state in states.items()}

    async def close_code(self) -> int | None:
        """Wait for the next close of the connection; None when the client closed it."""
        return await self._node.close_code(self.name)

    async def heard(self, kind: str) -> list[Any]:
        """What was heard of this kind so far: `status`, and of a Hocuspocus provider `authenticated` (the scope),
        `denied` and `close` (the reason), `stateless` (the payload)."""
        return [what for heard, what in await self._node.call("heard", self.name) if heard == kind]

    async def unsynced(self) -> int:
        """How many changes a Hocuspocus provider takes for unsaved."""
        return int(await self._node.call("unsynced", self.name))

    async def stateless(self, payload: str) -> None:
        await self._node.call("stateless", self.name, payload=payload)

    async def retry(self, token: str) -> None:
        """Authenticate again, with another token, on the same socket."""
        await self._node.call("retry", self.name, token=token)

    async def keep(self, token: str) -> None:
        """Have another token to send when asked for one, or when authenticating again."""
        await self._node.call("keep", self.name, token=token)

    async def content(self) -> Content:
        found = await self._node.call("content", self.name)
        clocks = read_state_vector(base64.b64decode(found.pop("state_vector")))
        return Content(**found, clocks=clocks)
