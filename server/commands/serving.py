"""`layercake serve` and `layercake migrate`."""

import asyncio
import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop

from persistence.database import Database
from server.app import UnsavedEditsError, bind, running
from server.authentication import Authentication
from server.backend import BackendTokens, backend_tokens, check_backend
from server.commands.catalogue import DatabaseUrl, DataDir
from server.commands.links import link_at
from server.commands.remote import address_file
from server.commands.sentences import UsageError, explained
from server.community import build_owners_link
from server.door import Authenticator, everyone_is_admin
from server.logs import configure_logs
from server.origin import is_loopback
from server.settings import Settings
from server.store import migrate_store, open_store
from server.tls import tls_context

_log = structlog.get_logger("layercake")

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_GC_THRESHOLDS = (10_000, 20, 20)
"""Measured with 2,000 sockets: Python's own look at everything so often that joining takes a fifth longer."""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(serve)
    app.command()(migrate)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one. [default: 8000]")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    open_: Annotated[
        bool | None,
        typer.Option("--open", help="No login: everyone on this machine is an administrator. Loopback only."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="PEM file of a certificate: serve https and wss instead of http and ws.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's private key.")] = None,
) -> None:
    """Serve graphs to browsers and programs until SIGTERM or Ctrl-C.

    Without --database-url a PostgreSQL is started inside --data-dir, and found there again next time.
    Every option is also an environment variable: LAYERCAKE_PORT, LAYERCAKE_DATA_DIR and so on.
    """
    with explained():
        settings = Settings.with_options(
            host=host,
            port=port,
            data_dir=data_dir,
            database_url=database_url,
            open=open_,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
        )
        tls_context(settings)  # these two before anything is started
        check_backend(settings)
        if settings.open and not is_loopback(settings.host):
            raise UsageError(f"--open listens on loopback addresses only; {settings.host} is none, so leave out --host")
        configure_logs(settings.log_format)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, _stop_signals(runner.get_loop()) as stop:
            is_all_stored = runner.run(_serve(settings, stop))
        if not is_all_stored:
            raise typer.Exit(1)


@contextmanager
def _stop_signals(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.Event]:
    """Let SIGTERM and SIGINT set the event, however often; after the block, when the process ends, they do nothing."""
    stop = asyncio.Event()
    for number in _STOP_SIGNALS:
        # Not the loop's own handlers: those are taken back when it closes, and a late signal would kill us.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        yield stop
    finally:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


async def _serve(settings: Settings, stop: asyncio.Event) -> bool:
    """Serve until `stop`, which gives up a start that is under way; return whether every edit is stored."""
    started = asyncio.Event()
    serving = asyncio.create_task(_serve_until(stop, started, settings), name="serving")
    asked = asyncio.create_task(stop.wait(), name="stop asked")
    await asyncio.wait((serving, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not started.is_set():
        serving.cancel()
    await asyncio.wait([serving])
    try:
        if not serving.cancelled():
            serving.result()
    except UnsavedEditsError as error:
        _log.error(str(error), uncommitted_bytes=error.uncommitted_bytes)
        return False
    return True


async def _serve_until(stop: asyncio.Event, started: asyncio.Event, settings: Settings) -> None:
    with _bound(settings) as bound:
        async with (
            open_store(settings, serve=True) as database,
            backend_tokens(settings, database) as backend,
            running(settings, database, _authenticator(settings, database, backend), bound) as listener,
        ):
            started.set()
            _collect_garbage_less()
            owners_token = None if settings.open else await build_owners_link(database).issue()
            with _announced(settings, listener.port, owners_token):
                await stop.wait()
            _log.info("stopping")


def _collect_garbage_less() -> None:
    """Leave out what the start made, which stays; and look for what came since less often, but not for long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _authenticator(settings: Settings, database: Database, backend: BackendTokens | None) -> Authenticator:
    return everyone_is_admin if settings.open else Authentication(database, backend=backend)


def _bound(settings: Settings) -> socket.socket:
    try:
        return bind(settings.host, settings.port)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}); stop what listens there, "
            "or choose others with --host and --port"
        ) from None


@contextmanager
def _announced(settings: Settings, port: int, owners_token: str | None) -> Iterator[None]:
    """Tell where the server is: people by a line, the commands on its folder by a file that is there for the block.

    With a token people are told how to become the first admin; who reads the log is not.
    """
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{'http' if settings.tls_certificate is None else 'https'}://{host}:{port}"
    public = settings.public_url or address
    typer.echo(f"Layercake is at {public}/")
    if owners_token is not None:
        typer.echo(f"Create the owner's account: {link_at(public, owners_token)}")
    if settings.database_url is not None:
        yield
        return
    file = address_file(settings.data_dir)
    # A certificate is for the name that people use.
    file.write_text(address if settings.tls_certificate is None else settings.public_url or address)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def migrate(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Bring the database to this version's schema.

    `serve` does this by itself for the embedded database; an external one is only changed by this command.
    """
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        applied = asyncio.run(migrate_store(settings))
        typer.echo(f"applied {len(applied)} migration(s): {', '.join(applied)}" if applied else "nothing to apply")
