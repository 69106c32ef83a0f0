"""A server from its start to its end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from collab.websocket import Connection
from persistence.database import Database
from server.application import build_http
from server.door import Authenticator
from server.listener import Listener, http_protocol
from server.services import Services, build_services
from server.settings import Settings
from server.tls import tls_context

_log = structlog.get_logger("layercake")

# Shares of `shutdown_timeout_s`; closing the database has the rest (`server.store`).
_DRAIN_SHARE = 0.6
_REQUESTS_SHARE = 0.7
_MAINTENANCE_SHARE = 0.1
_RUNS_SHARE = 0.1
_GOODBYE_S = 1.0
_CANCEL_S = 0.5


class UnsavedEditsError(Exception):
    """The server stopped with edits that could not be committed; nobody was ever told that they are saved."""

    def __init__(self, uncommitted_bytes: int) -> None:
        super().__init__("stopped with edits that could not be committed; their clients keep them and send them again")
        self.uncommitted_bytes = uncommitted_bytes


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to `host` and `port`; raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


@asynccontextmanager
async def running(
    settings: Settings, database: Database, authenticate: Authenticator, bound: socket.socket
) -> AsyncIterator[Listener]:
    """Serve on `bound` until the block ends, then stop: store what came in, say 1012, close.

    All of that takes `shutdown_timeout_s` at most. Raises UnsavedEditsError if not everything was stored by then.
    If a part fails that must not, the block is cancelled and the failure raised.
    """
    is_stored = True
    tls = tls_context(settings)
    services = build_services(settings, database, authenticate)
    listener = Listener(_uvicorn_config(settings, services, build_http(settings, services, authenticate)), tls)
    async with asyncio.TaskGroup() as parts:
        tasks = [parts.create_task(work) for work in (services.node.log.run(), services.node.hub.run())]
        tasks += [parts.create_task(work) for work in (services.edge.run(), *services.rights.work())]
        await listener.startup(sockets=[bound])
        tasks += [parts.create_task(listener.main_loop()), parts.create_task(services.maintenance.run())]
        tasks += [parts.create_task(work) for work in (services.refusals.run(), services.replaying.rebuilds.run())]
        tasks += [parts.create_task(work) for work in services.replaying.plan_runs.work()]
        tasks.append(parts.create_task(services.replaying.planning.projection.run()))
        try:
            yield listener
        finally:
            is_stored = await _stop(settings, services, listener)
            services.node.workers.close()
            services.accounts.passwords.close()
            await _end(tasks)
    if not is_stored:
        raise UnsavedEditsError(services.node.log.uncommitted_bytes)


def _uvicorn_config(settings: Settings, services: Services, app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http_protocol(
            header_bytes=settings.header_bytes,
            request_timeout_s=settings.request_timeout_s,
            body_bytes_per_s=settings.body_bytes_per_s,
        ),
        ws=lambda **_: Connection(services.edge),  # type: ignore[arg-type]
        lifespan="off",
        proxy_headers=False,  # `server.visitors` knows whom to believe, also for sockets
        log_config=None,
        access_log=False,
        server_header=False,
    )


async def _stop(settings: Settings, services: Services, listener: Listener) -> bool:
    """Let what is under way end, in time; return whether everything is stored."""
    deadline = asyncio.get_running_loop().time() + settings.shutdown_timeout_s * _REQUESTS_SHARE
    listener.stop_accepting()
    await services.replaying.plan_runs.executions.stop(settings.shutdown_timeout_s * _RUNS_SHARE)
    is_stored = await services.edge.stop(settings.shutdown_timeout_s * _DRAIN_SHARE)
    await services.maintenance.stop(settings.shutdown_timeout_s * _MAINTENANCE_SHARE)
    await services.edge.closed(_GOODBYE_S)
    for connection in list(listener.server_state.connections):
        connection.shutdown()
    closing = (services.node.hub.close(), services.refusals.flush())
    ending = [*map(asyncio.create_task, closing), *listener.server_state.tasks]
    await asyncio.wait(ending, timeout=max(deadline - asyncio.get_running_loop().time(), 0))
    await _end(ending)
    return is_stored


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    # Cancelled twice: the first makes a transaction roll back, which a database that hangs never answers.
    for _ in range(2):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CANCEL_S)
