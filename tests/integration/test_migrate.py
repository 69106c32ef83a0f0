"""DB: migrations, by the real dbmate on a real PostgreSQL."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from persistence import migrate as migrate_module
from persistence.errors import MigrationError, StoreUnavailableError
from persistence.migrate import migrate, pending, rollback, shipped

FIRST = "0001_create_cups.sql"
SECOND = "0002_create_plates.sql"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / FIRST).write_text("-- migrate:up\nCREATE TABLE cups ();\n-- migrate:down\nDROP TABLE cups;\n")
    (tmp_path / SECOND).write_text("-- migrate:up\nCREATE TABLE plates ();\n-- migrate:down\nDROP TABLE plates;\n")
    return tmp_path


async def tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    return {row["tablename"] for row in rows}


@pytest.fixture
async def tcp_url(empty_database_url: str) -> AsyncIterator[str]:
    """The same database by a TCP port of ours that leads to its socket."""
    parts = urlsplit(empty_database_url)
    path = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
    pipes: set[asyncio.Task[None]] = set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(path)
        both = (pipe(reader, inner_writer), pipe(inner_reader, writer))
        pipes.update(asyncio.ensure_future(one) for one in both)

    server = await asyncio.start_server(accept, "127.0.0.1", family=socket.AF_INET)
    port = server.sockets[0].getsockname()[1]
    yield f"postgresql://layercake@127.0.0.1:{port}{parts.path}"
    server.close()
    async with asyncio.timeout(10):
        await asyncio.gather(*pipes)


async def test_db_22_what_is_pending_is_applied_once_in_order(empty_database_url: str, folder: Path) -> None:
    assert await migrate(empty_database_url, folder=folder) == (FIRST, SECOND)
    assert await tables(empty_database_url) == {"cups", "plates", "schema_migrations"}
    assert await migrate(empty_database_url, folder=folder) == ()


async def test_db_22_works_over_tcp(tcp_url: str, folder: Path) -> None:
    assert await migrate(tcp_url, folder=folder) == (FIRST, SECOND)
    assert await tables(tcp_url) == {"cups", "plates", "schema_migrations"}
    assert await rollback(tcp_url, 2, folder=folder) == (SECOND, FIRST)


async def test_db_22_two_at_the_same_time_apply_each_file_once(empty_database_url: str, folder: Path) -> None:
    slow = (folder / FIRST).read_text().replace("up\n", "up\nSELECT pg_sleep(0.5);\n")
    (folder / FIRST).write_text(slow)
    applied = await asyncio.gather(*(migrate(empty_database_url, folder=folder) for _ in range(3)))
    assert sorted(applied) == [(), (), (FIRST, SECOND)]


async def test_db_22_one_that_waits_too_long_is_told_why(
    empty_database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "_LOCK_TIMEOUT_S", 0.2)
    holder = await asyncpg.connect(empty_database_url)
    await holder.execute("SELECT pg_advisory_lock($1)", migrate_module._LOCK_KEY)
    with pytest.raises(MigrationError, match=r"another has been running for 0\.2 s"):
        await migrate(empty_database_url, folder=folder)
    await holder.close()


async def test_db_22_surroundings_do_not_change_what_is_migrated(
    empty_database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("DBMATE_MIGRATIONS_TABLE=elsewhere\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("DBMATE_MIGRATIONS_TABLE", "elsewhere")
    assert await migrate(empty_database_url, folder=folder) == (FIRST, SECOND)
    assert "elsewhere" not in await tables(empty_database_url)


async def test_db_23_failing_migration_is_named_and_leaves_nothing(empty_database_url: str, folder: Path) -> None:
    (folder / SECOND).write_text("-- migrate:up\nCREATE TABLE plates ();\nSELECT nonsense;\n-- migrate:down\n")
    with pytest.raises(MigrationError, match=f'{SECOND} failed: .*"nonsense" does not exist') as failure:
        await migrate(empty_database_url, folder=folder)
    assert failure.value.migration == SECOND
    assert await tables(empty_database_url) == {"cups", "schema_migrations"}
    assert await pending(empty_database_url, folder=folder) == (SECOND,)


async def test_db_23_migration_that_takes_too_long_is_cut_and_undone(empty_database_url: str, folder: Path) -> None:
    (folder / FIRST).write_text("-- migrate:up\nCREATE TABLE cups ();\nSELECT pg_sleep(60);\n-- migrate:down\n")
    with pytest.raises(MigrationError, match=r"it took longer than 0\.5 s"):
        await migrate(empty_database_url, folder=folder, timeout_s=0.5)
    assert "cups" not in await tables(empty_database_url)


async def test_db_24_pending_changes_nothing(empty_database_url: str, folder: Path) -> None:
    assert await pending(empty_database_url, folder=folder) == (FIRST, SECOND)
    assert await tables(empty_database_url) == set()


async def test_db_25_rollback_takes_the_newest_back(empty_database_url: str, folder: Path) -> None:
    await migrate(empty_database_url, folder=folder)
    assert await rollback(empty_database_url, folder=folder) == (SECOND,)
    assert await tables(empty_database_url) == {"cups", "schema_migrations"}
    assert await rollback(empty_database_url, folder=folder) == (FIRST,)
    with pytest.raises(MigrationError, match="no migrations have been applied"):
        await rollback(empty_database_url, folder=folder)


async def test_db_20_database_that_is_away_is_named(folder: Path) -> None:
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1 gives no connection") as failure:
        await migrate("postgresql://someone:hush@127.0.0.1:1/cups", folder=folder)
    assert "hush" not in str(failure.value)


def test_shipped_folder_holds_the_migrations() -> None:
    assert shipped().name == "migrations"
