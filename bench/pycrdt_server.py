"""pycrdt-websocket over uvicorn: `python -m bench.pycrdt_server PORT [FILE]`.

Without FILE documents are in memory, as the documentation starts it; with it they are stored in SQLite by
pycrdt-store. The package brings the room and the store and leaves it to its users to bring them together; this is
the shortest way that loads a room before anybody is served from it.
"""

import asyncio
import logging
import sys
from contextlib import suppress

import uvicorn
from pycrdt.store import SQLiteYStore, YDocNotFound
from pycrdt.websocket import ASGIServer, WebsocketServer, YRoom, exception_logger


class StoringServer(WebsocketServer):
    """A server whose rooms are stored under their path."""

    def __init__(self) -> None:
        super().__init__(auto_clean_rooms=False, exception_handler=exception_logger)
        self._loading = asyncio.Lock()

    async def get_room(self, name: str) -> YRoom:
        """Return the room, made of what is stored."""
        async with self._loading:
            if name not in self.rooms:
                self.rooms[name] = await self._load(name)
        return self.rooms[name]

    async def _load(self, name: str) -> YRoom:
        store = SQLiteYStore(name)
        room = YRoom(ready=False, ystore=store, exception_handler=exception_logger)
        await self.start_room(room)
        await store.started.wait()
        with suppress(YDocNotFound):  # nobody has written to it
            await store.apply_updates(room.ydoc)
        room.ready = True
        await room.ydoc_observed.wait()
        return room


def chosen_server(files: list[str]) -> WebsocketServer:
    """One that stores in the file given, or one that holds documents in memory."""
    if not files:
        return WebsocketServer()
    (SQLiteYStore.db_path,) = files
    return StoringServer()


async def main() -> None:
    logging.disable(logging.CRITICAL)  # it reports every client that leaves while it is sent something
    async with chosen_server(sys.argv[2:]) as server:
        application = ASGIServer(server)
        await uvicorn.Server(uvicorn.Config(application, port=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    asyncio.run(main())
