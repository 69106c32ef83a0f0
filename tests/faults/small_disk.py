"""Disks that fill up: a small file system where one can be mounted, or a limit on the size of PostgreSQL's files."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.harness import Server

SIZE_MB = 160
"""Of the file system: a new cluster takes 40, and its log 16 for each segment."""

LARGEST_FILE_BYTES = 32 * 1024
"""The limit on files: control and pid file fit, the log and the tables do not."""

_BLOCK = bytes(64 * 1024)
_TAKE_EVERY_S = 0.1


def can_mount() -> bool:
    """Return whether a file system can be mounted here: as root, with the right to, on Linux."""
    with tempfile.TemporaryDirectory() as folder:
        refusal = _mount(Path(folder))
        if refusal is None:
            _unmount(Path(folder))
        return refusal is None


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Mount a file system of SIZE_MB at `folder`; skips the test where that is not possible."""
    folder.mkdir(parents=True)
    refusal = _mount(folder)
    if refusal is not None:
        pytest.skip(f"no small file system can be mounted here: {refusal}")
    try:
        yield
    finally:
        _unmount(folder)


def _mount(folder: Path) -> str | None:
    """Return why nothing could be mounted; None if it was."""
    command = ("mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0755", "layercake", str(folder))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return "there is no program `mount`"
    return None if done.returncode == 0 else done.stderr.strip()


def _unmount(folder: Path) -> None:
    subprocess.run(("umount", "--lazy", str(folder)), check=True, timeout=30)


@asynccontextmanager
async def full(folder: Path) -> AsyncIterator[None]:
    """For the length of the block the file system of `folder` has no space, also when some gets free."""
    ballast = folder / "ballast"
    taking = asyncio.create_task(_take_all(ballast))
    try:
        yield
    finally:
        taking.cancel()
        ballast.unlink()


async def _take_all(ballast: Path) -> None:
    with ballast.open("ab", buffering=0) as file:
        while True:
            with suppress(OSError):
                while file.write(_BLOCK):
                    pass
            await asyncio.sleep(_TAKE_EVERY_S)


@asynccontextmanager
async def no_large_files(server: Server) -> AsyncIterator[None]:
    """For the length of the block no file of the server or of its PostgreSQL grows beyond LARGEST_FILE_BYTES.

    PostgreSQL takes that for a full disk (`SIGXFSZ` in its postmaster.c), and so does one that is started meanwhile.
    """
    if shutil.which("prlimit") is None:
        pytest.skip("files of running processes cannot be limited in size: there is no program `prlimit`")
    _limit(server, str(LARGEST_FILE_BYTES))
    try:
        yield
    finally:
        _limit(server, "unlimited")


def _limit(server: Server, size: str) -> None:
    # Whoever starts others first: what they start from then on inherits the limit.
    for processes in ([psutil.Process(server.pid)], server.postgres()[:1], server.postgres()[1:]):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                command = (*_as_its_user(process), "prlimit", f"--fsize={size}:", "--pid", str(process.pid))
                subprocess.run(command, capture_output=True, timeout=30, check=process.is_running())


def _as_its_user(process: psutil.Process) -> tuple[str, ...]:
    """Return what runs a command as the user of `process`: in a container root may limit nobody else."""
    user, group = process.uids().real, process.gids().real
    if user == os.getuid():
        return ()
    return ("setpriv", "--reuid", str(user), "--regid", str(group), "--clear-groups", "--")
