"""A real PostgreSQL for the whole run, and a fresh, migrated database for each test that asks."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest

from persistence.database import Database
from persistence.embedded import EmbeddedServer
from persistence.migrate import migrate

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
TIMEOUT_S = 120.0
T = TypeVar("T")


class LoopThread:
    """An event loop that runs beside the tests, each of which has a loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="session loop")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_S)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres",
        choices=["15", "18"],
        default="18",
        help="the PostgreSQL to test on: 18 from the wheel, or 15 from Debian's package postgresql-15",
    )


def on_database(url: str, name: str) -> str:
    """Return `url` with another database."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=TIMEOUT_S)
    try:
        await connection.execute(statement, timeout=TIMEOUT_S)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def session_loop() -> Iterator[LoopThread]:
    """A loop for what lives as long as the run."""
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Path | None:
    """The folder of the PostgreSQL programs asked for; None for those of the wheel."""
    if pytestconfig.getoption("--postgres") == "18":
        return None
    if not (DEBIAN_15 / "postgres").exists():
        pytest.fail(f"--postgres 15 needs Debian's package postgresql-15 ({DEBIAN_15} is missing)")
    return DEBIAN_15


@pytest.fixture(scope="session")
def postgres(
    session_loop: LoopThread, binaries: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedServer]:
    """A running PostgreSQL that all tests share."""
    folder = tmp_path_factory.mktemp("postgres")
    server = session_loop.run(EmbeddedServer.start(folder, binaries=binaries))
    yield server
    session_loop.run(server.stop())


@pytest.fixture(scope="session")
def template_database(session_loop: LoopThread, postgres: EmbeddedServer) -> str:
    """The name of a migrated database without rows, for CREATE DATABASE … TEMPLATE; do not change it."""
    session_loop.run(execute(postgres.url, "CREATE DATABASE template_layercake"))
    session_loop.run(migrate(on_database(postgres.url, "template_layercake")))
    return "template_layercake"


_NUMBERS = itertools.count(1)


@contextlib.contextmanager
def _fresh(session_loop: LoopThread, url: str, template: str) -> Iterator[str]:
    name = f"test_{next(_NUMBERS)}"
    session_loop.run(execute(url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield on_database(url, name)
    session_loop.run(execute(url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def database_url(session_loop: LoopThread, postgres: EmbeddedServer, template_database: str) -> Iterator[str]:
    """The URL of a fresh, migrated database, gone after the test whoever is still connected."""
    with _fresh(session_loop, postgres.url, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(session_loop: LoopThread, postgres: EmbeddedServer, template_database: str) -> Iterator[str]:
    """As `database_url`, for all tests of a module, which leave it as good as they found it."""
    with _fresh(session_loop, postgres.url, template_database) as url:
        yield url


@pytest.fixture
def empty_database_url(session_loop: LoopThread, postgres: EmbeddedServer) -> Iterator[str]:
    """The URL of a fresh database without any table."""
    with _fresh(session_loop, postgres.url, "template0") as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Open connections to a fresh, migrated database."""
    opened = await Database.open(database_url, pool_size=4, timeout_s=10.0)
    yield opened
    await opened.close()
