"""The whole database into a file and back, by PostgreSQL's own programs: rules BACKUP-1 to BACKUP-5 of SPEC.md."""

import asyncio
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from pycrdt import Doc, Text
from typer.testing import CliRunner

import persistence.backup as backup_module
from persistence.backup import back_up, check_backup
from persistence.database import Database
from persistence.embedded import EmbeddedServer
from persistence.errors import BackupError, DataDirectoryBusyError
from persistence.events import Events
from persistence.graphs import Graphs
from persistence.migrate import migrate, shipped
from persistence.operations import StoredDocuments
from persistence.programs import Outcome
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller, Retitle
from server.commands import app
from server.settings import Settings
from server.store import back_up_store, open_store, restore_store

ME = Caller(ANONYMOUS_USER_ID)
BEFORE = 200


async def updates_of(database: Database, graph_id: UUID) -> list[bytes]:
    async with StoredDocuments(database).open(graph_id) as chunks:
        return [update async for chunk in chunks for update in chunk.updates]


def state(updates: list[bytes]) -> bytes:
    doc: Doc[object] = Doc()
    for update in updates:
        doc.apply_update(update)
    return doc.get_update()


class Typist:
    """Types into a text, each letter an operation of its own."""

    def __init__(self, database: Database, graph_id: UUID) -> None:
        self._database = database
        self._graph_id = graph_id
        self._doc: Doc[object] = Doc(client_id=5)
        self._updates: list[bytes] = []
        self._doc.observe(lambda event: self._updates.append(event.update))
        self._text = self._doc.get("text", type=Text)
        self.typed = 0

    async def type(self) -> None:
        self._text += "x"
        self.typed += 1
        row = (self._graph_id, self._updates.pop(), f'{{"5":{self.typed}}}', ME.user_id, "session", "5")
        async with self._database.service() as connection:
            await connection.execute(Graphs.INSERT_OPERATION, *row)

    async def type_on(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.type()


@pytest.fixture
async def graph_id(database: Database) -> UUID:
    project = await Projects(database).create(ME, EVERYONE_GROUP_ID, "Bridge", "steel")
    return (await Graphs(database).create(ME, project.id, "Deck", "data", None)).id


@pytest.fixture
async def backup(database: Database, database_url: str, graph_id: UUID, tmp_path: Path) -> Path:
    """A backup of a database with one graph."""
    await Typist(database, graph_id).type()
    file = tmp_path / "whole.dump"
    await back_up(database_url, file)
    return file


async def test_a_backup_under_load_is_one_moment_and_restores(
    database: Database, database_url: str, graph_id: UUID, tmp_path: Path
) -> None:
    """BACKUP-1: all that was committed before it began is in it, of what came later a beginning."""
    typist = Typist(database, graph_id)
    for _ in range(BEFORE):
        await typist.type()
    stop = asyncio.Event()
    typing = asyncio.create_task(typist.type_on(stop))
    await back_up_store(Settings(database_url=database_url), tmp_path / "whole.dump")
    assert typist.typed > BEFORE
    stop.set()
    await typing
    await Graphs(database).change(ME, graph_id, Retitle("later", None, keep_description=True))

    settings = Settings(data_dir=tmp_path / "fresh")
    assert await restore_store(settings, tmp_path / "whole.dump") == ()
    async with open_store(settings) as restored:
        found, source = await updates_of(restored, graph_id), await updates_of(database, graph_id)
        assert len(found) >= BEFORE
        assert found == source[: len(found)]
        assert state(found) == state(source[: len(found)])
        assert (await Graphs(restored).read(ME, graph_id)).name == "Deck"
        assert [event.event_type for event in await Events(restored).of_stream(ME, graph_id, None, 9)] == [
            "graph.created"
        ]


async def test_a_restored_database_goes_on(backup: Path, graph_id: UUID, tmp_path: Path) -> None:
    """BACKUP-2: both roles do their work, ids and versions go on after the last."""
    settings = Settings(data_dir=tmp_path / "fresh")
    await restore_store(settings, backup)
    async with open_store(settings) as restored:
        await Typist(restored, graph_id).type()
        await Graphs(restored).change(ME, graph_id, Retitle("Rail", None, keep_description=True))
        versions = [event.version for event in await Events(restored).of_stream(ME, graph_id, None, 9)]
        assert versions == [2, 1]
        assert len(await updates_of(restored, graph_id)) == 2
        assert await Events(restored).make_partitions() == 0


async def test_an_older_backup_is_brought_to_this_schema(
    empty_database_url: str, tmp_path: Path, postgres: EmbeddedServer
) -> None:
    """BACKUP-2."""
    names = sorted(path.name for path in shipped().glob("*.sql"))
    older = tmp_path / "older"
    older.mkdir()
    for name in names[:-1]:
        shutil.copy(shipped() / name, older)
    await migrate(empty_database_url, folder=older)
    await back_up(empty_database_url, tmp_path / "older.dump")

    assert await restore_store(Settings(data_dir=tmp_path / "fresh"), tmp_path / "older.dump") == (names[-1],)


async def test_a_backup_goes_into_an_empty_database(backup: Path, empty_database_url: str, graph_id: UUID) -> None:
    """BACKUP-3: and into no other, which stays as it is."""
    settings = Settings(database_url=empty_database_url)
    await restore_store(settings, backup)
    with pytest.raises(BackupError, match="--data-dir"):
        await restore_store(settings, backup)
    async with open_store(settings) as restored:
        assert len(await updates_of(restored, graph_id)) == 1


async def test_a_folder_with_data_or_a_server_is_refused(backup: Path, tmp_path: Path) -> None:
    """BACKUP-3."""
    settings = Settings(data_dir=tmp_path / "used")
    async with open_store(settings, create=True) as used:
        await Projects(used).create(ME, EVERYONE_GROUP_ID, "mine", None)
    with pytest.raises(BackupError, match="empty"):
        await restore_store(settings, backup)
    async with open_store(settings, serve=True) as used:
        with pytest.raises(DataDirectoryBusyError):
            await restore_store(settings, backup)
        assert [project.name for project in await Projects(used).of_user(ME)] == ["mine"]


async def test_a_backup_of_a_later_version_is_refused(
    database_url: str, backup: Path, tmp_path: Path, empty_database_url: str
) -> None:
    """BACKUP-4."""
    owner = await asyncpg.connect(database_url)
    await owner.execute("INSERT INTO schema_migrations (version) VALUES ('9999')")
    await owner.close()
    await back_up(database_url, tmp_path / "later.dump")
    with pytest.raises(BackupError, match="later version"):
        await restore_store(Settings(database_url=empty_database_url), tmp_path / "later.dump")


async def test_a_file_that_is_no_backup_is_refused(
    empty_database_url: str, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    """BACKUP-4: nonsense, and a backup of something else."""
    (tmp_path / "nonsense").write_bytes(b"PGDMP nonsense")
    await back_up(empty_database_url, tmp_path / "other.dump")
    for name in ("nonsense", "other.dump"):
        with pytest.raises(BackupError, match="layercake backup"):
            await check_backup(tmp_path / name)


async def test_a_backup_that_is_cut_short_changes_nothing(
    database: Database, database_url: str, graph_id: UUID, empty_database_url: str, tmp_path: Path
) -> None:
    """BACKUP-3: all or nothing, so that the same database can be tried again."""
    typist = Typist(database, graph_id)
    for _ in range(BEFORE):
        await typist.type()
    whole = tmp_path / "whole.dump"
    await back_up(database_url, whole)
    cut = tmp_path / "cut.dump"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.95)])
    settings = Settings(database_url=empty_database_url)
    with pytest.raises(BackupError):
        await restore_store(settings, cut)
    await restore_store(settings, whole)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_the_commands(database_url: str, empty_database_url: str, tmp_path: Path) -> None:
    """BACKUP-5: the file is whole, one's own, and never written over another."""
    file = tmp_path / "whole.dump"
    code, output = run("backup", "--out", str(file), "--database-url", database_url)
    assert (code, output) == (0, f"{file}: {file.stat().st_size} bytes\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    code, output = run("backup", "--out", str(file), "--database-url", database_url)
    assert (code, file.read_bytes()) == (1, before)
    assert "exists already" in output

    code, output = run("restore", str(file), "--database-url", empty_database_url)
    assert (code, output) == (0, f"restored {file} into the database\n")
    code, output = run("restore", str(file), "--database-url", empty_database_url)
    assert code == 1
    assert "Traceback" not in output
    assert "empty" in output


def test_a_backup_that_fails_leaves_no_file(tmp_path: Path) -> None:
    """BACKUP-5."""
    url = "postgresql://layercake:secret@127.0.0.1:9/layercake"
    code, output = run("backup", "--out", str(tmp_path / "x.dump"), "--database-url", url)
    assert code == 1
    assert "127.0.0.1:9" in output
    assert "secret" not in output
    assert list(tmp_path.iterdir()) == []


def test_a_backup_of_nothing_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    """BACKUP-5: a job with a wrong address must not be green for ever; and no database is made on the way."""
    for source, sentence in (
        (("--data-dir", str(tmp_path / "typo")), "there is no database in"),
        (("--database-url", empty_database_url), "nothing of Layercake's"),
    ):
        code, said = run("backup", *source, "--out", str(tmp_path / "file"))
        assert code == 1
        assert sentence in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("graphs",), ("export", "--graph", "x"), ("log", "prune", "--older-than", "1")])
def test_a_command_that_reads_makes_no_database(command: tuple[str, ...], tmp_path: Path) -> None:
    code, said = run(*command, "--data-dir", str(tmp_path / "typo"))
    assert (code, "there is no database in" in said) == (1, True)
    assert list(tmp_path.iterdir()) == []


async def test_a_password_in_the_query_of_a_url_is_not_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """BACKUP-5."""
    seen: list[tuple[tuple[str, ...], str | None]] = []

    async def watched(*argv: str, timeout_s: float, env: Mapping[str, str]) -> Outcome:
        seen.append((argv, env.get("PGPASSWORD")))
        return Outcome(0, "")

    monkeypatch.setattr("persistence.backup.run", watched)
    await backup_module._run("pg_dump", "postgresql://me@/db?host=/tmp&password=s3%20cret", timeout_s=1.0)
    ((argv, password),) = seen
    assert password == "s3 cret"
    assert not any("s3" in argument for argument in argv)


async def test_a_restore_that_is_given_up_leaves_a_folder_as_it_was(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BACKUP-3: an empty database left there would be served as one."""

    async def never(*_: object) -> tuple[str, ...]:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr("server.store.restore", never)
        with pytest.raises(asyncio.CancelledError):
            await restore_store(Settings(data_dir=tmp_path / "new"), backup)
    assert not (tmp_path / "new" / "postgres").exists()
    await restore_store(Settings(data_dir=tmp_path / "new"), backup)


def test_a_command_that_is_terminated_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    """BACKUP-5: cron and systemd end commands by SIGTERM."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from server import commands\n"
        "from server.commands.new_file import new_file\n"
        "@commands.app.command('wait')\n"
        "def wait(path: Path) -> None:\n"
        "    with new_file(path):\n"
        "        print('writing', flush=True)\n"
        "        time.sleep(600)\n"
        "sys.argv = ['layercake', 'wait', sys.argv[1]]\n"
        "commands.main()\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "file")]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
