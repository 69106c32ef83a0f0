"""ypy-websocket over uvicorn, in memory, as its documentation starts it: `python -m bench.ypy_server PORT`."""

import asyncio
import logging
import sys

import uvicorn
from ypy_websocket import ASGIServer, WebsocketServer


async def main() -> None:
    logging.disable(logging.CRITICAL)
    async with WebsocketServer() as server:
        await uvicorn.Server(uvicorn.Config(ASGIServer(server), port=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    asyncio.run(main())
