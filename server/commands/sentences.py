"""Errors of a command as one sentence on standard error, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from auth.errors import AuthError
from collab.hub import MemoryFullError
from persistence.errors import StoreError
from replay.errors import NoBaseError
from replay.executions import ExecutionRunningError
from replay.plan_reading import NotJsonError
from replay.schedule import UnknownTargetsError
from server.page import PageMissingError
from server.settings import SettingsError
from workspace.archive import ArchiveError
from workspace.export_tables import ExportError


class UsageError(Exception):
    """Options that cannot go together."""


_EXPLAINABLE = (
    ValidationError,
    UsageError,
    SettingsError,
    StoreError,
    MemoryFullError,
    AuthError,
    ArchiveError,
    ExportError,
    NotJsonError,
    NoBaseError,
    UnknownTargetsError,
    ExecutionRunningError,
    PageMissingError,
    OSError,
)


@contextmanager
def explained() -> Iterator[None]:
    """End the command with exit code 1 and one sentence for every error a person can act on."""
    try:
        yield
    except BaseExceptionGroup as group:
        explainable, rest = group.split(_is_explainable)
        if rest is not None or explainable is None:
            raise
        _fail("; ".join(_sentence(error) for error in explainable.exceptions))
    except BaseException as error:
        if not _is_explainable(error):
            raise
        _fail(_sentence(error))


def _is_explainable(error: BaseException) -> bool:
    return isinstance(error, _EXPLAINABLE)


def _sentence(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"LAYERCAKE_{str(first['loc'][0]).upper()}: {first['msg']}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _fail(sentence: str) -> None:
    typer.echo(f"layercake: {sentence}", err=True)
    raise typer.Exit(1)
