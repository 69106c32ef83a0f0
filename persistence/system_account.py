"""Who PostgreSQL runs as when we are root: it refuses root, so it gets a system user of its own.

That user may be unable to enter the folders above the data or the programs (a private folder of
root, /root itself). They are somebody else's, so their modes stay as they are; instead the
programs get the one capability that lets them pass, and only where it is needed.
"""

import os
import pwd
import shutil
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from persistence.errors import EmbeddedServerError
from persistence.programs import run

_NAME = "layercake"
_USERADD_TIMEOUT_S = 30
_SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

# linux/capability.h, from the least to the most that lets a user pass closed folders
_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}


@dataclass(frozen=True, slots=True)
class SystemAccount:
    """The user that runs PostgreSQL for us."""

    name: str
    uid: int
    gid: int

    def take(self, path: Path) -> None:
        """Make `path` and all in it this user's; `path` itself last, so that a cut-off call is done again."""
        if path.lstat().st_uid == self.uid:
            return
        for folder, subfolders, files in os.walk(path):
            for name in (*subfolders, *files):
                os.lchown(Path(folder, name), self.uid, self.gid)
        os.lchown(path, self.uid, self.gid)

    def command_prefix(self, reached: Sequence[Path]) -> tuple[str, ...]:
        """Return what to put before a command so that it runs as this user and gets to the paths `reached`.

        Raises EmbeddedServerError naming the first folder that it could not enter.
        """
        program = shutil.which("setpriv", path=_SYSTEM_PATH)
        if program is None:
            raise EmbeddedServerError(
                "PostgreSQL does not run as root and `setpriv` is missing; install util-linux, "
                "or start Layercake as an ordinary user"
            )
        closed = [step for path in reached for step in _way(path) if not self._may_pass(step)]
        capability = _capability(closed, self.name) if closed else ()
        user = ("--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups")
        return (program, *user, *capability, "--")

    def _may_pass(self, path: Path) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


async def account_for_root() -> SystemAccount | None:
    """Return the user for PostgreSQL if we are root, made first if it is missing; None if we are not.

    Raises EmbeddedServerError where there can be no such user.
    """
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise EmbeddedServerError("PostgreSQL does not run as root; start Layercake as an ordinary user")
    return _existing() or await _made()


def _existing() -> SystemAccount | None:
    try:
        entry = pwd.getpwnam(_NAME)
    except KeyError:
        return None
    return SystemAccount(_NAME, entry.pw_uid, entry.pw_gid)


async def _made() -> SystemAccount:
    arguments = ("--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent")
    program = shutil.which("useradd", path=_SYSTEM_PATH)
    reason = "`useradd` is missing"
    if program is not None:
        shell = ("--shell", shutil.which("nologin", path=_SYSTEM_PATH) or "/bin/false")
        env = {"PATH": _SYSTEM_PATH, "LC_ALL": "C"}
        reason = (await run(program, *arguments, *shell, _NAME, timeout_s=_USERADD_TIMEOUT_S, env=env)).last_line
    # asked again whatever useradd said: another start may have been faster
    if account := _existing():
        return account
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root and the system user {_NAME} cannot be made ({reason}); "
        "make it, or start Layercake as an ordinary user"
    )


def _way(path: Path) -> tuple[Path, ...]:
    """Return what must be passed to get to `path`, from the root; the target of a link, not the link."""
    real = path.resolve()
    return (*reversed(real.parents), real)


def _capability(closed: Sequence[Path], name: str) -> tuple[str, ...]:
    """Return setpriv's options for the least that opens `closed`: a program without its x bit needs more."""
    needs_more = any(not path.is_dir() for path in closed)
    for capability in ("dac_override",) if needs_more else _CAPABILITIES:
        if _held() >> _CAPABILITIES[capability] & 1:
            # without the secure bit access(2), by which initdb looks for postgres, ignores capabilities
            kept = ("--securebits", "+no_setuid_fixup")
            return (f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}", *kept)
    raise EmbeddedServerError(
        f"PostgreSQL runs as the system user {name}, which cannot enter {closed[0]}; "
        f"choose another folder with --data-dir, or allow it with `chmod o+x {closed[0]}`"
    )


def _held() -> int:
    """Return the capabilities that this process has and may hand on, as the kernel's bit set."""
    fields = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["CapPrm"], 16) & int(fields["CapBnd"], 16)
