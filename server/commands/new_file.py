"""Files that a command writes: whole or not at all, and never over another one unless it is told to."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.commands.sentences import UsageError


@contextmanager
def new_file(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a file of mode 0600 beside `path` to write to; after the block it is at `path`, on the disk.

    If the block raises, nothing is left. Raises UsageError if there is something at `path`, with `replace` only
    if that is a folder.
    """
    path = path.absolute()
    _refuse_existing(path, replace=replace)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        _refuse_existing(path, replace=replace)
        _flush(unfinished)
        unfinished.rename(path)
        _flush(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _refuse_existing(path: Path, *, replace: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it")
    if path.exists() and not replace:
        raise UsageError(f"{path} exists already and is left as it is; name another file")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
