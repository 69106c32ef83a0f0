"""The way up, the way down and the way up again (SPEC.md, SCHEMA-1 and SCHEMA-2)."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg
import pytest

from persistence.errors import MigrationError
from persistence.migrate import migrate, rollback, shipped

# One line of text for all that a schema is made of, so that two schemas compare as two sets of lines.
CATALOGUE = """
    WITH
    ours AS (
        SELECT oid, relname, relkind, relacl, relrowsecurity FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'schema_migrations%'
    ),
    ours_procs AS (SELECT oid, proacl FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
    SELECT concat_ws(' ', 'schema', nspname, nspacl) FROM pg_namespace WHERE nspname = 'public'
    UNION ALL
    SELECT concat_ws(' ', 'relation', relkind, relname, relacl, relrowsecurity, obj_description(oid, 'pg_class'))
    FROM ours
    UNION ALL
    SELECT concat_ws(' ', 'column', o.relname, row_number() OVER (PARTITION BY o.oid ORDER BY attnum), attname,
                     format_type(atttypid, atttypmod), attnotnull, attidentity, attacl, pg_get_expr(adbin, adrelid),
                     col_description(o.oid, attnum))
    FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef ON adrelid = o.oid AND adnum = attnum
    UNION ALL
    SELECT concat_ws(' ', 'constraint', relname, conname, pg_get_constraintdef(c.oid))
    FROM ours o JOIN pg_constraint c ON conrelid = o.oid
    UNION ALL
    SELECT concat_ws(' ', 'index', pg_get_indexdef(oid)) FROM ours WHERE relkind = 'i'
    UNION ALL
    SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid))
    FROM ours o JOIN pg_trigger t ON tgrelid = o.oid WHERE NOT tgisinternal
    UNION ALL
    SELECT concat_ws(' ', 'function', pg_get_functiondef(oid), proacl, obj_description(oid, 'pg_proc')) FROM ours_procs
    UNION ALL
    SELECT concat_ws(' ', 'policy', tablename, policyname, cmd, roles, qual, with_check)
    FROM pg_policies WHERE schemaname = 'public'
    UNION ALL
    SELECT concat_ws(' ', 'type', typtype, typname) FROM pg_type WHERE typnamespace = 'public'::regnamespace
    AND typname NOT LIKE '%schema_migrations'
"""
NAMES = tuple(sorted(path.name for path in shipped().glob("*.sql")))


async def catalogue(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        return {row[0] for row in await connection.fetch(CATALOGUE)}
    finally:
        await connection.close()


async def test_down_to_zero_leaves_nothing_and_up_again_makes_the_same(empty_database_url: str) -> None:
    """SCHEMA-1, SCHEMA-2."""
    empty = await catalogue(empty_database_url)
    assert await migrate(empty_database_url) == NAMES
    made = await catalogue(empty_database_url)
    assert len(made) > 200
    assert await rollback(empty_database_url, len(NAMES)) == tuple(reversed(NAMES))
    assert await catalogue(empty_database_url) == empty
    assert await migrate(empty_database_url) == NAMES
    assert await catalogue(empty_database_url) == made


async def test_each_way_down_restores_what_was_there_before(empty_database_url: str, tmp_path: Path) -> None:
    """SCHEMA-2: step by step, privileges and policies too."""
    before = {}
    for name in NAMES:
        before[name] = await catalogue(empty_database_url)
        shutil.copy(shipped() / name, tmp_path)
        await migrate(empty_database_url, folder=tmp_path)
    for name in reversed(NAMES[1:]):
        await rollback(empty_database_url)
        assert await catalogue(empty_database_url) == before[name], name


async def test_the_roles_stay_while_another_database_uses_them(database_url: str, empty_database_url: str) -> None:
    """SCHEMA-2."""
    await migrate(empty_database_url)
    await rollback(empty_database_url, len(NAMES))
    connection = await asyncpg.connect(database_url)
    await connection.execute("SET ROLE layercake_log")
    assert await connection.fetchval("SELECT count(*) FROM users") == 2
    await connection.close()


@dataclass(frozen=True)
class Ownership:
    """A database that belongs to `role`, who is no superuser; `url` connects as that role."""

    role: str
    url: str
    administrator: asyncpg.Connection


@pytest.fixture
async def ownership(database_url: str, empty_database_url: str) -> AsyncIterator[Ownership]:
    """An empty database of a plain owner, in a cluster whose roles another database has made."""
    parts = urlsplit(empty_database_url)
    database = parts.path.removeprefix("/")
    role = f"owner_of_{database}"
    administrator = await asyncpg.connect(database_url)
    await administrator.execute(f"CREATE ROLE {role}; ALTER DATABASE {database} OWNER TO {role}")
    url = parts._replace(query=urlencode([*parse_qsl(parts.query), ("role", role)])).geturl()
    yield Ownership(role, url, administrator)
    await administrator.execute(f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
    there = await asyncpg.connect(empty_database_url)
    await there.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await there.close()
    await administrator.close()


async def test_an_owner_who_is_no_superuser_migrates_and_becomes_both_roles(ownership: Ownership) -> None:
    """SCHEMA-1."""
    await ownership.administrator.execute(f"GRANT layercake_app, layercake_log TO {ownership.role}")
    assert await migrate(ownership.url) == NAMES
    connection = await asyncpg.connect(ownership.url)
    for role, table in (("layercake_app", "users"), ("layercake_log", "crdt_operations")):
        await connection.execute(f"SET ROLE {role}; SELECT FROM {table}")
    await connection.close()
    assert await rollback(ownership.url, len(NAMES)) == tuple(reversed(NAMES))


async def test_an_owner_who_may_not_take_a_role_is_told_what_to_run(ownership: Ownership) -> None:
    """SCHEMA-1."""
    with pytest.raises(MigrationError, match=f"GRANT layercake_app TO {ownership.role};"):
        await migrate(ownership.url)
