"""The folder that a server keeps: who holds it, where its socket is, what is wrong with it."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from persistence.errors import DataDirectoryBusyError, EmbeddedServerError
from persistence.postmaster import SOCKET_NAME
from persistence.system_account import SystemAccount

# sun_path holds 104 bytes on macOS and 108 on Linux, the closing NUL included.
_SOCKET_PATH_LIMIT_BYTES = 103
# Anything else would need quoting in PostgreSQL's list of folders and in URLs.
_PLAIN_PATH = re.compile(r"[\w/.+-]+", re.ASCII)

_ADVICE = {
    errno.ENOSPC: "its disk is full; free some space",
    errno.EDQUOT: "its disk quota is used up; free some space",
    errno.EROFS: "its disk is read-only; make it writable",
    errno.EACCES: "you may not use it; give it to the user that starts Layercake",
    errno.EPERM: "you may not use it; give it to the user that starts Layercake",
    errno.EEXIST: "a file is in its place; move that away",
    errno.ENOTDIR: "a file is in its place; move that away",
}


def absolute(directory: Path) -> Path:
    """Return the one way to write this folder, by which a running PostgreSQL is known."""
    return directory.expanduser().resolve()


@contextlib.contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Turn what the file system refuses into EmbeddedServerError with a sentence about what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, f"{error.strerror or error!r}; cure that")
        raise EmbeddedServerError(
            f"the data folder {directory} cannot be used: {advice}, or choose another folder with --data-dir"
        ) from error


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold the directory, made first if it is missing; the kernel lets go of it when this process dies.

    Raises DataDirectoryBusyError at once if another holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _opened(directory, os.O_RDWR | os.O_CREAT) as descriptor:
        if not _locked(descriptor, fcntl.LOCK_EX):
            raise DataDirectoryBusyError(str(directory))
        yield


def is_held(directory: Path) -> bool:
    """Whether a server holds the directory."""
    try:
        with _opened(directory, os.O_RDWR) as descriptor:
            return not _locked(descriptor, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def socket_folder(directory: Path, account: SystemAccount | None) -> Iterator[Path]:
    """Give a private folder whose path is short and plain enough for a socket: in the directory or in /tmp."""
    folder = directory / "socket"
    if len(os.fsencode(folder / SOCKET_NAME)) <= _SOCKET_PATH_LIMIT_BYTES and _PLAIN_PATH.fullmatch(str(folder)):
        folder.mkdir(mode=0o700, exist_ok=True)
        if account:
            account.take(folder)
        yield folder
        return
    link = directory / "socket.link"
    folder = _linked(link, account)
    try:
        yield folder
    finally:
        link.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _linked(link: Path, account: SystemAccount | None) -> Path:
    """Return the folder in /tmp that `link` names if it is still ours, else a new one that it names from now on."""
    with contextlib.suppress(OSError):
        folder = link.readlink()
        if folder.lstat().st_uid == (account.uid if account else os.geteuid()):
            return folder
    link.unlink(missing_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="layercake-", dir="/tmp"))  # TMPDIR can be long
    link.symlink_to(folder)
    if account:
        account.take(folder)
    return folder


@contextlib.contextmanager
def _opened(directory: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(directory / "lock", flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
