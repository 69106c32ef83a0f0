"""DB: the connections, on a real PostgreSQL with the real schema."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from persistence.database import Database
from persistence.embedded import EmbeddedServer
from persistence.errors import ConflictError, InvalidValueError, StoreError, StoreUnavailableError
from persistence.records import Caller, Grant
from tests.conftest import execute, on_database

WHO = "SELECT current_user || ' ' || coalesce(nullif(current_setting('app.user_id', true), ''), 'nobody')"
SETTINGS = """
    SELECT current_setting('app.grant', true), current_setting('app.everywhere', true),
        current_setting('app.graph_id', true)
"""
CUPS = """
    CREATE TABLE cups (
        id integer CONSTRAINT pk_cups PRIMARY KEY,
        size integer NOT NULL DEFAULT 1 CONSTRAINT ck_cups_size CHECK (size > 0),
        saucer integer CONSTRAINT fk_cups_saucer REFERENCES cups (id),
        label varchar(5),
        properties jsonb
    );
    GRANT ALL ON cups TO layercake_log;
"""


@pytest.fixture
async def cups_url(database_url: str) -> str:
    """A migrated database with a table whose constraints these tests break."""
    await execute(database_url, CUPS)
    return database_url


@pytest.fixture
async def cups(cups_url: str) -> AsyncIterator[Database]:
    database = await Database.open(cups_url, pool_size=2, timeout_s=5.0)
    yield database
    await database.close()


async def count(database: Database) -> int:
    async with database.service() as connection:
        return await connection.fetchval("SELECT count(*) FROM cups")


async def test_db_15_request_runs_as_the_person_and_leaves_no_trace(database_url: str) -> None:
    database = await Database.open(database_url, pool_size=1, timeout_s=10.0)
    graph_id = uuid4()
    for caller, grant, everywhere in (
        (Caller(uuid4()), "", ""),
        (Caller(uuid4(), Grant(graph_id, "viewer")), f"{graph_id}:viewer", ""),
        (Caller(uuid4(), is_everywhere=True), "", "on"),
    ):
        async with database.request(caller, graph_id) as connection:
            assert await connection.fetchval(WHO) == f"layercake_app {caller.user_id}"
            assert list(await connection.fetchrow(SETTINGS)) == [grant, everywhere, str(graph_id)]
        async with database.request(Caller(caller.user_id)) as connection:
            assert list(await connection.fetchrow(SETTINGS)) == ["", "", ""]
    connection = await database._requests.acquire()
    assert await connection.fetchval(WHO) == "layercake_app nobody"
    assert list(await connection.fetchrow(SETTINGS)) == ["", "", ""]
    await database._requests.release(connection)
    await database.close()


@pytest.mark.parametrize("ending", ["raises", "refused", "timed out", "cancelled"])
async def test_db_15_a_request_that_ends_badly_leaves_nothing_to_the_next(database_url: str, ending: str) -> None:
    """Connections are not reset: what a request set, locked or opened is gone with its transaction."""
    database = await Database.open(database_url, pool_size=1, timeout_s=0.5)
    statement = {"raises": "SELECT 1", "refused": "SELECT 1 / 0"}.get(ending, "SELECT pg_sleep(60)")
    begun = asyncio.Event()

    async def request() -> None:
        async with database.request(Caller(uuid4(), is_everywhere=True), uuid4()) as connection:
            await connection.execute("SELECT set_config('lock_timeout', '1s', true), pg_advisory_xact_lock(1)")
            await connection.cursor("SELECT generate_series(1, 9)")
            begun.set()
            await connection.execute(statement)
            raise KeyError

    task = asyncio.create_task(request())
    await begun.wait()
    if ending == "cancelled":
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is not None
    connection = await database._requests.acquire()
    assert not connection.is_in_transaction()
    assert await connection.fetchval(WHO) == "layercake_app nobody"
    assert list(await connection.fetchrow(SETTINGS)) == ["", "", ""]
    assert await connection.fetchval("SHOW lock_timeout") == "0"
    held = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"
    assert await connection.fetchval(held) == 0
    assert await connection.fetchval("SELECT count(*) FROM pg_cursors WHERE name <> ''") == 0
    await database._requests.release(connection)
    await database.close()


async def test_db_16_service_and_log_are_the_log_role(database: Database) -> None:
    async with database.service() as connection:
        assert await connection.fetchval(WHO) == "layercake_log nobody"
    log = await database.connect_log()
    assert await log.fetchval(WHO) == "layercake_log nobody"
    assert await log.fetchval("SELECT $1::jsonb", {"a": [1]}) == {"a": [1]}
    await log.close()


async def test_db_17_block_that_raises_or_is_cancelled_leaves_nothing(cups: Database) -> None:
    inserted = asyncio.Event()

    async def insert(and_then: Awaitable[object]) -> None:
        async with cups.service() as connection:
            await connection.execute("INSERT INTO cups (id) VALUES (1)")
            inserted.set()
            await and_then

    async def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await insert(fail())
    inserted.clear()
    waiting = asyncio.ensure_future(insert(asyncio.Event().wait()))
    await inserted.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await count(cups) == 0


@pytest.mark.parametrize(
    ("statement", "error", "constraint"),
    [
        ("INSERT INTO cups (id) VALUES (1), (1)", ConflictError, "pk_cups"),
        ("INSERT INTO cups (id, size) VALUES (1, 0)", InvalidValueError, "ck_cups_size"),
        ("INSERT INTO cups (id, saucer) VALUES (1, 9)", InvalidValueError, "fk_cups_saucer"),
        ("INSERT INTO cups (id, size) VALUES (1, NULL)", InvalidValueError, "size"),
        ("INSERT INTO cups (id, label) VALUES (1, 'too long')", InvalidValueError, ""),
    ],
)
async def test_db_18_broken_rules_arrive_as_our_errors(
    cups: Database, statement: str, error: type[ConflictError | InvalidValueError], constraint: str
) -> None:
    with pytest.raises(error) as failure:
        async with cups.service() as connection:
            await connection.execute(statement)
    assert failure.value.constraint == constraint
    assert isinstance(failure.value.__cause__, asyncpg.PostgresError)


async def test_db_18_refused_statement_is_a_store_error_and_misuse_stays_a_bug(cups: Database) -> None:
    with pytest.raises(StoreError, match='relation "saucers" does not exist'):
        async with cups.service() as connection:
            await connection.execute("SELECT * FROM saucers")
    with pytest.raises(asyncpg.InterfaceError, match="expects 1 argument"):
        async with cups.service() as connection:
            await connection.fetchval("SELECT $1::integer")


async def test_db_19_statement_that_waits_too_long_is_cut(cups_url: str) -> None:
    database = await Database.open(cups_url, pool_size=1, timeout_s=0.3)
    with pytest.raises(StoreUnavailableError, match="no answer in time"):
        async with database.service() as connection:
            await connection.execute("SELECT pg_sleep(60)")
    await database.ping()
    await database.close()


async def test_db_19_full_pool_is_waited_for_in_bounds(database_url: str) -> None:
    database = await Database.open(database_url, pool_size=1, timeout_s=0.3)
    async with database.service():
        with pytest.raises(StoreUnavailableError, match="no answer in time"):
            async with database.service():
                pytest.fail("there is one connection only")
        with pytest.raises(StoreUnavailableError):
            await database.ping()
    await database.ping()
    await database.close()


async def test_db_19_pool_serves_again_after_its_connections_were_cut(
    cups: Database, cups_url: str, postgres: EmbeddedServer
) -> None:
    name = urlsplit(cups_url).path.removeprefix("/")
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"

    async def be_cut() -> None:
        async with cups.service() as connection:
            await execute(postgres.url, cut)
            await connection.execute("SELECT 1")

    with pytest.raises(StoreUnavailableError):
        await be_cut()
    await cups.ping()
    async with cups.request(Caller(uuid4())) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_db_19_closed_database_is_unavailable_and_close_is_bounded(database_url: str) -> None:
    database = await Database.open(database_url, pool_size=1, timeout_s=0.3)

    async def close_within() -> None:
        async with database.service() as connection:
            await database.close()
            await connection.execute("SELECT 1")

    with pytest.raises(StoreUnavailableError):
        await close_within()
    await database.close()
    with pytest.raises(StoreUnavailableError, match="clos"):
        await database.ping()


async def _opening(url: str) -> str:
    with pytest.raises(StoreError) as failure:
        await Database.open(url, pool_size=1, timeout_s=2.0)
    assert "hush" not in str(failure.value)
    assert "hush" not in repr(failure.value.__cause__)
    return str(failure.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://someone:hush@example.org/cups",
        "postgresql://someone:hush/hush@example.org:5432/cups",
        "postgresql://someone:pass@example.org:hush/cups",
        "postgresql://example.org/cups?password=a&hush",
        "/var/lib/cups",
    ],
)
async def test_db_20_url_without_sense_is_explained_without_repeating_it(url: str) -> None:
    assert "write it like postgresql://" in await _opening(url)


async def test_db_20_refused_port_is_named() -> None:
    message = await _opening("postgresql://someone:hush@127.0.0.1:1/cups")
    assert "127.0.0.1:1 gives no connection" in message
    assert "start PostgreSQL there" in message


async def test_db_20_missing_database_is_named(postgres: EmbeddedServer) -> None:
    assert "there is no database saucers at /" in await _opening(on_database(postgres.url, "saucers"))


async def test_db_20_wrong_user_is_refused_without_the_password(postgres: EmbeddedServer) -> None:
    url = postgres.url.replace("layercake@", "someone:hush@")
    assert "refuses the user name or the password" in await _opening(url)


async def test_db_20_database_without_our_roles_names_the_command(empty_database_url: str) -> None:
    await execute(empty_database_url, "CREATE ROLE guest LOGIN")
    try:
        message = await _opening(empty_database_url.replace("layercake@", "guest@"))
    finally:
        await execute(empty_database_url, "DROP ROLE guest")
    assert "run `layercake migrate`" in message


async def test_db_21_json_goes_in_and_out_also_by_copy(cups: Database) -> None:
    values = [{"a": [1, 2.5, None, "é"]}, [], "text", 0, True]
    async with cups.service() as connection:
        await connection.copy_records_to_table("cups", records=list(enumerate(values)), columns=["id", "properties"])
        rows = await connection.fetch("SELECT properties FROM cups ORDER BY id")
    assert [row["properties"] for row in rows] == values
