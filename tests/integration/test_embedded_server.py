"""DB: the embedded PostgreSQL, on real processes and a real disk."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from persistence.cluster import Binaries, Cluster
from persistence.embedded import EmbeddedServer, attach
from persistence.errors import DataDirectoryBusyError, EmbeddedServerError
from persistence.pid_file import PidFile, reap
from persistence.postmaster import Postmaster
from persistence.system_account import account_for_root
from tests.clients.eventually import eventually

IS_ROOT = os.geteuid() == 0
Start = Callable[[], Awaitable[EmbeddedServer]]
RECOVERY_S = 120.0  # the server's own bound
Mount = Callable[..., Path]

# What a server process does until someone kills it. argv: data directory, programs or "".
SERVER = """
import asyncio, sys
from pathlib import Path
from persistence.embedded import EmbeddedServer

async def main():
    binaries = Path(sys.argv[2]) if sys.argv[2] else None
    server = await EmbeddedServer.start(Path(sys.argv[1]), binaries=binaries)
    print(server.url, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def start(directory: Path, binaries: Path | None) -> AsyncIterator[Start]:
    """Start a server on `directory`; all are stopped after the test."""
    servers: list[EmbeddedServer] = []

    async def start() -> EmbeddedServer:
        servers.append(await EmbeddedServer.start(directory, binaries=binaries))
        return servers[-1]

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def server_process(directory: Path, binaries: Path | None) -> AsyncIterator[subprocess.Popen[str]]:
    """Another Python process that serves `directory`; it has printed its URL. No orphan stays after the test."""
    command = [sys.executable, "-c", SERVER, str(directory), str(binaries or "")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("postgresql://")
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    await reap(directory / "postgres")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mount]:
    """Mount something in a folder that only we may enter."""
    folder = tmp_path / "closed/mounted"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)

    def mount(*arguments: str) -> Path:
        subprocess.run(["mount", *arguments, folder], check=True)
        return folder

    yield mount
    subprocess.run(["umount", folder], check=True)


async def write(url: str, value: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (value integer)")
    await connection.execute("INSERT INTO kept VALUES ($1)", value)
    await connection.close()


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def kept(url: str) -> object:
    return await ask(url, "SELECT sum(value) FROM kept")


async def answer_or_none(url: str) -> object:
    try:
        return await kept(url)
    except (OSError, asyncpg.PostgresError):
        return None


def postmaster_pid(directory: Path) -> int:
    found = PidFile.read(directory / "postgres")
    assert found is not None
    return found.pid


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def configure(directory: Path, line: str) -> None:
    with (directory / "postgres/postgresql.conf").open("a") as config:
        config.write(f"\n{line}\n")


async def test_db_1_data_are_there_after_stop_and_start(start: Start) -> None:
    server = await start()
    await write(server.url, 41)
    await server.stop()
    assert await kept((await start()).url) == 41


async def test_db_1_text_is_unicode_ordered_by_code_point(start: Start) -> None:
    url = (await start()).url
    assert await ask(url, "SELECT current_setting('server_encoding')") == "UTF8"
    assert await ask(url, "SELECT lower('ÀЖ')") == "àж"
    assert await ask(url, "SELECT string_agg(c, '' ORDER BY c) FROM unnest(ARRAY['b','a','B','é']) c") == "Babé"
    assert await ask(url, "SELECT current_setting('data_checksums')") == "on"


async def test_db_1_environment_of_the_caller_changes_nothing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "TZ": "Asia/Tokyo", "LC_ALL": "xx"}.items():
        monkeypatch.setenv(name, value)
    assert await ask((await start()).url, "SELECT current_setting('TimeZone')") == "UTC"


async def test_db_2_listens_on_a_private_socket_only(start: Start, directory: Path) -> None:
    url = (await start()).url
    assert await ask(url, "SELECT current_setting('listen_addresses')") == ""
    assert stat.S_IMODE((directory / "socket").stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "postgres").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["long-" * 25, "with space, comma & 'quote'", "ünïcode"])
async def test_db_2_any_folder_name_will_do(tmp_path: Path, binaries: Path | None, name: str) -> None:
    directory = tmp_path / name
    server = await EmbeddedServer.start(directory, binaries=binaries)
    socket_folder = (directory / "socket.link").readlink()
    try:
        await write(server.url, 1)
        assert await attach(directory) == server.url
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    finally:
        await server.stop()
    assert not socket_folder.exists()


async def test_db_3_second_start_is_refused_at_once(start: Start, directory: Path) -> None:
    server = await start()
    with pytest.raises(DataDirectoryBusyError, match="--data-dir") as refusal:
        await start()
    assert refusal.value.directory == str(directory)
    await write(server.url, 1)


async def test_db_3_second_start_is_refused_to_another_process(
    server_process: subprocess.Popen[str], start: Start
) -> None:
    with pytest.raises(DataDirectoryBusyError):
        await start()
    assert server_process.poll() is None


async def test_db_4_comes_back_after_kill_9_with_all_that_was_committed(start: Start, directory: Path) -> None:
    server = await start()
    for value in (1, 2, 4):
        await write(server.url, value)
        first = postmaster_pid(directory)
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: answer_or_none(server.url), lambda answer: answer is not None, RECOVERY_S)
        assert postmaster_pid(directory) != first
    assert await kept(server.url) == 7


async def test_db_4_waits_for_backends_that_outlive_their_postmaster(start: Start, directory: Path) -> None:
    server = await start()
    await write(server.url, 8)
    busy = await asyncpg.connect(server.url)
    backend = busy.get_server_pid()
    endless = asyncio.ensure_future(busy.execute("DO $$ BEGIN LOOP END LOOP; END $$"))
    try:
        active = f"SELECT state FROM pg_stat_activity WHERE pid = {backend}"
        await eventually(lambda: ask(server.url, active), lambda state: state == "active")
        os.kill(postmaster_pid(directory), signal.SIGKILL)
        log = directory / "postgres.log"
        await eventually(lambda: asyncio.to_thread(log.read_text), lambda text: "pre-existing shared memory" in text)
        assert is_running(backend)
    finally:
        os.kill(backend, signal.SIGKILL)
    await eventually(lambda: answer_or_none(server.url), lambda answer: answer == 8, RECOVERY_S)
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await endless
    busy.terminate()


async def test_db_5_orphan_of_a_killed_server_is_reaped(
    server_process: subprocess.Popen[str], start: Start, directory: Path
) -> None:
    url = await attach(directory)
    assert url is not None
    await write(url, 16)
    orphan = postmaster_pid(directory)
    server_process.kill()
    server_process.wait()
    assert is_running(orphan)
    assert await attach(directory) is None  # DB-13
    server = await start()
    assert not is_running(orphan)
    assert await kept(server.url) == 16


async def test_db_5_orphan_and_postmaster_killed_together_recover(
    server_process: subprocess.Popen[str], start: Start, directory: Path
) -> None:
    url = await attach(directory)
    assert url is not None
    await write(url, 32)
    os.kill(postmaster_pid(directory), signal.SIGKILL)
    server_process.kill()
    server_process.wait()
    assert await kept((await start()).url) == 32


async def test_db_6_recycled_pid_blocks_nothing_and_is_left_alone(start: Start, directory: Path) -> None:
    server = await start()
    await write(server.url, 64)
    files = [directory / "postgres/postmaster.pid", directory / "socket/.s.PGSQL.5432.lock"]
    texts = [file.read_text() for file in files]
    owner = (directory / "postgres").stat().st_uid
    await server.stop()
    # PostgreSQL takes only a process of its own user for a rival
    bystander = subprocess.Popen(["sleep", "600"], user=owner if IS_ROOT else None)
    try:
        for file, text in zip(files, texts, strict=True):
            file.write_text("\n".join([str(bystander.pid), *text.splitlines()[1:]]) + "\n")
            os.chown(file, owner, -1)
        assert await kept((await start()).url) == 64
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


async def test_db_6_pid_file_without_sense_blocks_nothing(start: Start, directory: Path) -> None:
    await (await start()).stop()
    for text in ("", "\0\0\0\0"):
        (directory / "postgres/postmaster.pid").write_text(text)
        server = await start()
        assert await ask(server.url, "SELECT 1") == 1
        await server.stop()


async def test_db_7_cut_off_initdb_is_done_again(start: Start, directory: Path, binaries: Path | None) -> None:
    command = [sys.executable, "-c", SERVER, str(directory), str(binaries or "")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    await eventually(lambda: asyncio.to_thread(lambda: list(directory.glob("postgres.new-*/global"))), bool)
    process.kill()
    process.wait()
    assert not (directory / "postgres").exists()
    server = await start()
    assert await ask(server.url, "SELECT 1") == 1
    assert not list(directory.glob("postgres.new-*/PG_VERSION"))


async def test_db_7_files_that_are_no_data_are_refused_and_left(start: Start, directory: Path) -> None:
    (directory / "postgres").mkdir(parents=True)
    (directory / "postgres/letter.txt").write_text("dear")
    with pytest.raises(EmbeddedServerError, match="move it away"):
        await start()
    assert (directory / "postgres/letter.txt").read_text() == "dear"


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_db_8_settings_that_lose_edits_are_refused(start: Start, directory: Path, setting: str) -> None:
    await (await start()).stop()
    configure(directory, f"{setting} = off")
    with pytest.raises(EmbeddedServerError, match=f"{setting} switched off.*postgresql.conf"):
        await start()
    configure(directory, f"{setting} = on")
    await start()


async def test_db_8_settings_of_the_database_are_refused_too(start: Start) -> None:
    server = await start()
    await ask(server.url, "ALTER DATABASE layercake SET synchronous_commit = off")
    await server.stop()
    with pytest.raises(EmbeddedServerError, match="synchronous_commit switched off"):
        await start()


async def test_db_9_other_major_version_is_refused_with_commands_that_upgrade(directory: Path) -> None:
    newest, *older = await Binaries.of_wheel()
    old = older[0] if older else await Binaries.at(Path("/usr/lib/postgresql/15/bin"))
    server = await EmbeddedServer.start(directory, binaries=old.folder)
    await write(server.url, 128)
    await server.stop()
    with pytest.raises(EmbeddedServerError, match=f"PostgreSQL {old.major}.*pg_upgrade") as refusal:
        await EmbeddedServer.start(directory)
    commands = str(refusal.value).split("run: ", 1)[1]
    done = subprocess.run(["/bin/sh", "-c", commands], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    server = await EmbeddedServer.start(directory)
    try:
        assert await kept(server.url) == 128
        assert await ask(server.url, "SELECT current_setting('server_version_num')::int / 10000") == newest.major
    finally:
        await server.stop()


@pytest.mark.skipif(not IS_ROOT, reason="only root needs a system user")
async def test_db_10_root_runs_it_as_its_own_user_below_closed_folders(
    start: Start, directory: Path, binaries: Path | None, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    server = await start()
    await write(server.url, 1)
    account = await account_for_root()
    assert account is not None
    assert Path(f"/proc/{postmaster_pid(directory)}").stat().st_uid == account.uid
    assert (directory / "postgres").stat().st_uid == account.uid
    assert directory.stat().st_uid == 0
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.skipif(not IS_ROOT, reason="only root needs a system user")
async def test_db_10_programs_in_a_closed_folder_can_be_run(
    mounted: Mount, tmp_path: Path, binaries: Path | None
) -> None:
    installed = binaries or (await Binaries.of_wheel())[0].folder
    around = installed.parents[3]  # with the libraries that the programs find by their own place
    programs = mounted("--bind", str(around)) / installed.relative_to(around)
    server = await EmbeddedServer.start(tmp_path / "data", binaries=programs)
    await server.stop()


@pytest.mark.skipif(not IS_ROOT, reason="only root needs a system user")
async def test_db_10_data_of_root_become_the_system_users(start: Start, directory: Path) -> None:
    server = await start()
    await write(server.url, 1)
    await server.stop()
    for path in [directory / "postgres", *(directory / "postgres").rglob("*")]:
        os.lchown(path, 0, 0)
    assert await kept((await start()).url) == 1


@pytest.mark.skipif(not IS_ROOT, reason="only root can drop capabilities")
async def test_db_10_without_capabilities_the_closed_folder_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    drop = ["setpriv", "--bounding-set=-dac_read_search,-dac_override"]
    command = [*drop, sys.executable, "-c", SERVER, str(closed / "data"), ""]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "EmbeddedServerError: PostgreSQL runs as the system user layercake, which cannot enter" in done.stderr
    assert "chmod o+x" in done.stderr


async def test_db_11_file_in_place_of_the_directory_is_named(start: Start, directory: Path) -> None:
    directory.write_text("a letter")
    with pytest.raises(EmbeddedServerError, match=r"a file is in its place.*--data-dir"):
        await start()
    with pytest.raises(EmbeddedServerError, match="a file is in its place"):
        await attach(directory)


@pytest.mark.skipif(not IS_ROOT, reason="only root can mount a disk")
@pytest.mark.parametrize(("options", "advice"), [("ro", "read-only"), ("size=8m", "No space left on device")])
async def test_db_11_disk_that_takes_nothing_is_explained(
    mounted: Mount, binaries: Path | None, options: str, advice: str
) -> None:
    disk = mounted("-t", "tmpfs", "-o", options, "tmpfs")
    with pytest.raises(EmbeddedServerError, match=f"{advice}.*--data-dir"):
        await EmbeddedServer.start(disk / "data", binaries=binaries)


async def test_db_11_programs_that_do_not_run_are_named(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=f"programs in {tmp_path} do not run.*--database-url"):
        await EmbeddedServer.start(directory, binaries=tmp_path)


async def test_db_11_configuration_that_stops_it_is_quoted(start: Start, directory: Path) -> None:
    await (await start()).stop()
    configure(directory, "nonsense = 1")
    with pytest.raises(EmbeddedServerError, match=r"does not start in .*postgresql.conf. contains errors; cure that"):
        await start()


async def test_db_12_cancelled_start_leaves_the_directory_free(start: Start, directory: Path) -> None:
    await (await start()).stop()
    log = directory / "postgres.log"
    log.unlink()
    starting = asyncio.ensure_future(start())
    await eventually(lambda: asyncio.to_thread(log.exists), bool)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert PidFile.read(directory / "postgres") is None
    await start()


async def test_db_12_start_that_takes_too_long_is_given_up(
    start: Start, directory: Path, binaries: Path | None
) -> None:
    await (await start()).stop()
    with pytest.raises(EmbeddedServerError, match=r"did not answer within 0.001 s.*database_start_timeout_s"):
        # a PostgreSQL that has only begun to start may miss the first signal, and is sent the next in 14 s, not in 63 s
        await EmbeddedServer.start(directory, start_timeout_s=0.001, stop_timeout_s=20.0, binaries=binaries)
    assert PidFile.read(directory / "postgres") is None
    await start()


async def test_db_12_stop_twice_is_stop(start: Start) -> None:
    server = await start()
    await server.stop()
    await server.stop()


async def test_db_13_attach_finds_a_running_server_only(start: Start, directory: Path) -> None:
    assert await attach(directory) is None
    server = await start()
    assert await attach(directory) == server.url
    await server.stop()
    assert await attach(directory) is None


def test_db_14_log_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    postmaster = Postmaster(Cluster(tmp_path, Binaries(tmp_path, 18), None, ()), tmp_path, log)
    log.write_bytes(b"short")
    postmaster.trim_log()
    assert log.read_bytes() == b"short"
    with log.open("ab") as file:
        file.truncate(17 * 1024 * 1024)
    postmaster.trim_log()
    assert log.stat().st_size == 0
    assert (tmp_path / "postgres.log.old").stat().st_size == 17 * 1024 * 1024
