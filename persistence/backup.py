"""The whole database into one file and back, by the programs of PostgreSQL itself."""

import os
import re
import shutil
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import asyncpg

from persistence.cluster import Binaries
from persistence.errors import BackupError, StoreError
from persistence.migrate import migrate, shipped
from persistence.programs import Outcome, run
from persistence.translation import connecting, translate

_TIMEOUT_S = 6 * 3600.0
_QUESTION_TIMEOUT_S = 60.0
_CONNECT_TIMEOUT_S = 15.0
_FIRST_WITH_TRANSACTION_TIMEOUT = 17
"""From here on pg_restore sets a parameter that older servers refuse."""

IS_EMPTY = """
    SELECT NOT EXISTS (
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    )
"""


async def back_up(url: str, file: Path) -> None:
    """Write the whole database to `file`, in pg_dump's custom format, as it was when this began.

    Edits go on meanwhile. Raises BackupError, and StoreError if the database does not answer; `file` may then hold a
    part. Cancelling ends the program.
    """
    major = await _server_major(url)
    program = await _program("pg_dump", major)
    outcome = await _run(program, url, "--format=custom", "--file", str(file), timeout_s=_TIMEOUT_S)
    if outcome.code != 0:
        raise BackupError(f"pg_dump failed: {outcome.last_line}; cure that and try again")


async def check_backup(file: Path) -> int:
    """Return the major version of the PostgreSQL that `file` is a backup of.

    Raises BackupError for a file that is no backup of Layercake's, or one of a later version of it.
    """
    program = str((await Binaries.of_wheel())[0].folder / "pg_restore")
    listing = await _ask(program, "--list", str(file))
    dumped_from = re.search(r"Dumped from database version: (\d+)", listing.output)
    if listing.code != 0 or dumped_from is None:
        raise BackupError(f"{file} is no backup ({listing.last_line}); name a file that `layercake backup` wrote")
    script = await _ask(program, "--data-only", "--table=schema_migrations", "--file=-", str(file))
    versions = _copied(script.output)
    if not versions:
        raise BackupError(f"{file} is a backup of some other database; name a file that `layercake backup` wrote")
    known = {path.name.partition("_")[0] for path in shipped().glob("[0-9]*.sql")}
    if not known.issuperset(versions):
        raise BackupError(f"{file} was made by a later version of Layercake; install that one and restore with it")
    return int(dumped_from[1])


async def restore(url: str, file: Path, dumped_from: int) -> tuple[str, ...]:
    """Fill the empty database at `url` from `file`, all or nothing; return the migrations that `file` lacked.

    Afterwards it has the schema of this version. `dumped_from` is what `check_backup` returned. Raises BackupError
    if the database is not empty or cannot take the backup, StoreError if it does not answer.
    """
    major = await _server_major(url)
    if dumped_from > major:
        raise BackupError(
            f"the backup is of PostgreSQL {dumped_from} and does not go into {major}; restore into a newer one"
        )
    await _make_roles(url)
    program = await _program("pg_restore", major)
    options = ("--no-owner", "--exit-on-error", "--single-transaction")
    outcome = await _run(program, url, *options, str(file), timeout_s=_TIMEOUT_S)
    if outcome.code != 0:
        raise BackupError(f"pg_restore failed and changed nothing: {_reason(outcome)}; cure that and try again")
    return await migrate(url)


async def _make_roles(url: str) -> None:
    """Make the roles that the backup grants privileges to; refuse a database that has anything already."""
    with connecting(url):
        connection = await asyncpg.connect(url, timeout=_CONNECT_TIMEOUT_S, command_timeout=_CONNECT_TIMEOUT_S)
    try:
        with translate():
            if not await connection.fetchval(IS_EMPTY):
                raise BackupError(
                    "the database has tables already, and a backup goes into an empty one only; "
                    "choose a new folder with --data-dir, or an empty database with --database-url"
                )
            await connection.execute(_roles())
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)


def _roles() -> str:
    """Return the first migration's way up, which makes the roles."""
    text = next(shipped().glob("0001_*.sql")).read_text()
    return text.partition("-- migrate:up")[2].partition("-- migrate:down")[0]


async def _server_major(url: str) -> int:
    with connecting(url):
        connection = await asyncpg.connect(url, timeout=_CONNECT_TIMEOUT_S)
        await connection.close(timeout=_CONNECT_TIMEOUT_S)
    return connection.get_server_version().major


async def _program(name: str, server_major: int) -> str:
    """Return the program of the lowest version that fits the server: of Debian's, PATH's or ours."""
    found = shutil.which(name)
    candidates = [
        Path(f"/usr/lib/postgresql/{server_major}/bin/{name}"),
        *([Path(found)] if found else []),
        *(binaries.folder / name for binaries in await Binaries.of_wheel()),
    ]
    versions = [(await _major(path), str(path)) for path in candidates if path.exists()]
    fitting = [(major, path) for major, path in versions if major >= server_major]
    if not fitting:
        raise StoreError(
            f"{name} of PostgreSQL {server_major} is missing; install that, or put a newer one on the PATH"
        )
    return min(fitting, key=lambda one: one[0])[1]


async def _major(program: Path) -> int:
    outcome = await _ask(str(program), "--version")
    version = re.search(r"\(PostgreSQL\) (\d+)", outcome.output)
    return int(version[1]) if version else 0


async def _ask(program: str, *arguments: str) -> Outcome:
    return await run(program, *arguments, timeout_s=_QUESTION_TIMEOUT_S, env={**os.environ, "LC_ALL": "C"})


async def _run(program: str, url: str, *arguments: str, timeout_s: float) -> Outcome:
    """Run a program on the database; the password goes through the environment, where other users cannot read it."""
    parts = urlsplit(url)
    env = {**os.environ, "LC_ALL": "C"}
    if parts.password is not None:
        env["PGPASSWORD"] = unquote(parts.password)
        user, _, place = parts.netloc.rpartition("@")
        parts = parts._replace(netloc=f"{user.partition(':')[0]}@{place}")
    query = dict(parse_qsl(parts.query))
    if "password" in query:
        env["PGPASSWORD"] = query.pop("password")
        parts = parts._replace(query=urlencode(query))
    try:
        return await run(program, "--no-password", "--dbname", parts.geturl(), *arguments, timeout_s=timeout_s, env=env)
    except TimeoutError as error:
        raise BackupError(f"{Path(program).name} took longer than {timeout_s:g} s") from error


def _copied(script: str) -> list[str]:
    """Return the lines of the COPY in `script`."""
    lines = script.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("COPY ")), None)
    return [] if start is None else lines[start + 1 : lines.index("\\.", start)]


def _reason(outcome: Outcome) -> str:
    errors = [line for line in outcome.output.splitlines() if "error:" in line]
    return errors[0] if errors else outcome.last_line
