"""SCHEMA: every statement in the code is one that PostgreSQL accepts on this schema."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import asyncpg
import pytest

import persistence

_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


def _constants(module: ModuleType) -> Iterator[tuple[str, str]]:
    holders: list[tuple[str, object]] = [(module.__name__, module)]
    holders += [
        (f"{module.__name__}.{name}", value)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]
    for path, holder in holders:
        for name, value in vars(holder).items():
            if name.isupper():
                yield from _statements(f"{path}.{name}", value)


def _statements(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield the statement that a constant is, or the statements of a mapping."""
    if isinstance(value, str) and value.strip().startswith(_VERBS):
        yield name, value
    elif isinstance(value, dict):
        for key, statement in value.items():
            yield from _statements(f"{name}[{key}]", statement)


STATEMENTS = {
    name: statement
    for found in pkgutil.iter_modules(persistence.__path__, "persistence.")
    for name, statement in _constants(importlib.import_module(found.name))
}


def test_the_statements_are_found() -> None:
    assert "persistence.operations.WRITE_FLUSH" in STATEMENTS
    assert "persistence.graphs.Graphs.CREATE" in STATEMENTS
    assert "persistence.tables.NODES[-weight]" in STATEMENTS
    assert len(STATEMENTS) > 20


@pytest.mark.parametrize("name", STATEMENTS)
async def test_every_statement_can_be_prepared(name: str, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.prepare(STATEMENTS[name])
    finally:
        await connection.close()
