"""`layercake serve` where it cannot: one sentence that says what to do, and no traceback."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from persistence.embedded import EmbeddedServer
from tests.faults.harness import COMMAND, Server, free_port

REFUSED_WITHIN_S = 60


async def refusal(*arguments: str | Path) -> str:
    """Run `layercake serve` until it ends by itself, and return the one line it wrote to standard error."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "serve",
        *map(str, arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _, stderr = await asyncio.wait_for(process.communicate(), REFUSED_WITHIN_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    said = stderr.decode()
    assert process.returncode != 0, said
    lines = said.strip().splitlines()
    assert len(lines) == 1, said
    return lines[0]


@pytest.fixture
async def empty_database(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a PostgreSQL without a single table."""
    database = await EmbeddedServer.start(tmp_path / "elsewhere")
    try:
        yield database.url
    finally:
        await database.stop()


def somewhere(folder: Path) -> list[str | Path]:
    """Arguments that by themselves work."""
    return ["--open", "--port", str(free_port()), "--data-dir", folder / "data"]


async def test_nobody_listens_at_the_database_url(tmp_path: Path) -> None:
    """START-1: it names the host, not the password, and what to correct."""
    url = f"postgresql://someone:hunter2@127.0.0.1:{free_port()}/some"
    said = await refusal(*somewhere(tmp_path), "--database-url", url)
    assert "127.0.0.1" in said
    assert "database URL" in said
    assert "hunter2" not in said


async def test_the_database_url_is_not_one(tmp_path: Path) -> None:
    """START-1: nonsense is refused as such."""
    said = await refusal(*somewhere(tmp_path), "--database-url", "over there")
    assert "database URL" in said


async def test_an_external_database_is_behind(tmp_path: Path, empty_database: str) -> None:
    """START-2: an external database is only checked; the command that brings it up to date is named."""
    said = await refusal(*somewhere(tmp_path), "--database-url", empty_database)
    assert "layercake migrate" in said


async def test_the_port_is_taken(tmp_path: Path) -> None:
    """START-3: the option that chooses another one is named."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = await refusal("--open", "--port", str(port), "--data-dir", tmp_path / "data")
    assert str(port) in said
    assert "--port" in said


async def test_the_data_folder_is_a_file(tmp_path: Path) -> None:
    """START-4: a folder that cannot be one is named."""
    file = tmp_path / "data"
    file.write_text("a file in its place")
    said = await refusal("--open", "--port", str(free_port()), "--data-dir", file)
    assert str(file) in said
    assert "--data-dir" in said


async def test_the_data_folder_cannot_be_written() -> None:
    """START-4: nor can one be made where nobody may write, whoever runs the tests."""
    said = await refusal("--open", "--port", str(free_port()), "--data-dir", "/proc/layercake")
    assert "/proc/layercake" in said
    assert "--data-dir" in said


async def test_another_server_uses_the_folder(server: Server) -> None:
    """START-5: a second server on one folder is refused, and the first goes on."""
    said = await refusal("--open", "--port", str(free_port()), "--data-dir", server.data_dir)
    assert str(server.data_dir) in said
    assert "--data-dir" in said
    graph = await server.create_graph()
    assert (await server.content(graph)).map == {}


async def test_open_to_the_world_is_refused(tmp_path: Path) -> None:
    """START-6: without a login only this machine may come in."""
    said = await refusal(*somewhere(tmp_path), "--host", "0.0.0.0")
    assert "--host" in said
    assert "--open" in said


async def test_migrate_says_what_it_applied(tmp_path: Path, empty_database: str) -> None:
    """START-2: the command that is named does it, once; afterwards the server starts."""
    for expected in ("0001_create_roles.sql", "nothing to apply"):
        process = await asyncio.create_subprocess_exec(
            COMMAND, "migrate", "--database-url", empty_database, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0
        assert expected in said.decode()
