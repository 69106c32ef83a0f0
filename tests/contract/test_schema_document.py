"""docs/schema.md and its picture say what the database is (SPEC.md, SCHEMA-3, SCHEMA-4, SCHEMA-13 to SCHEMA-16)."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import asyncpg
import pytest

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "schema.md").read_text()
PARTS = ("replay", "event log", "documents", "work", "runs", "agents")
SVG = "{http://www.w3.org/2000/svg}"

TABLES = """
    SELECT relname AS name, obj_description(oid, 'pg_class') AS comment FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'schema_migrations'
    AND NOT relispartition
    ORDER BY relname
"""
COLUMNS = """
    SELECT attrelid::regclass::text AS table_name, attname AS name,
           replace(format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz') AS type,
           NOT attnotnull AS nullable
    FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
CONSTRAINTS = """
    SELECT conname AS name, conrelid::regclass::text AS table_name, contype::text AS type,
           (SELECT string_agg(attname, '_' ORDER BY at) FROM unnest(conkey) WITH ORDINALITY AS k (number, at)
            JOIN pg_attribute ON attrelid = conrelid AND attnum = number) AS columns
    FROM pg_constraint JOIN pg_class t ON t.oid = conrelid
    WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c')
    AND conrelid <> 'schema_migrations'::regclass AND NOT relispartition
"""
INDEXES = """
    SELECT i.relname AS name, indrelid::regclass::text AS table_name, indisunique AS is_unique
    FROM pg_index JOIN pg_class i ON i.oid = indexrelid
    WHERE i.relnamespace = 'public'::regnamespace AND indrelid <> 'schema_migrations'::regclass
    AND NOT i.relispartition
"""
FOREIGN_KEYS_WITHOUT_INDEX = """
    SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype = 'f'
    AND conparentid = 0 AND NOT EXISTS (
        SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indrelid = conrelid AND indkey[0] = conkey[1]
        AND (indpred IS NULL OR pg_get_expr(indpred, indrelid) = format('(%I IS NOT NULL)', attname))
    )
"""
KEYS = """
    SELECT conname AS name, format_type(atttypid, atttypmod) AS type,
           attidentity::text AS identity, atthasdef AS has_default
    FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
    JOIN pg_class t ON t.oid = conrelid
    WHERE connamespace = 'public'::regnamespace AND contype = 'p' AND conrelid <> 'schema_migrations'::regclass
    AND NOT relispartition AND NOT EXISTS (
        SELECT FROM pg_constraint f
        WHERE f.conrelid = pg_constraint.conrelid AND f.contype = 'f' AND f.conkey = pg_constraint.conkey
    )
"""
PRIVILEGE = """
    SELECT CASE WHEN $3 = 'delete' THEN has_table_privilege($1, $2::regclass, $3)
           ELSE has_any_column_privilege($1, $2::regclass, $3) END
"""


def section(heading: str) -> str:
    """The text under a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    start = TEXT.index(f"{heading}\n") + len(heading)
    end = re.search(rf"^#{{1,{level}}} ", TEXT[start:], re.MULTILINE)
    return TEXT[start : start + end.start() if end else None]


def rows(text: str) -> list[list[str]]:
    """The rows of the table in `text`, without its head."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in cells] for cells in lines[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def source_columns() -> Iterator[tuple[str, str]]:
    """Every column of the source documents, with where the page says it is."""
    for document in re.findall(r"^### 00\d: .*$", TEXT, re.MULTILINE):
        for table, columns, here in rows(section(document)):
            for column in quoted(columns):
                yield f"{document[4:7]} {quoted(table)[0]}.{column}", here.replace(".*", f".{column}")


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner to a migrated database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def table_names(owner: asyncpg.Connection) -> list[str]:
    return [row["name"] for row in await owner.fetch(TABLES)]


async def test_every_table_has_a_comment(owner: asyncpg.Connection) -> None:
    """SCHEMA-14."""
    tables = await owner.fetch(TABLES)
    assert len(tables) == 33
    assert [row["name"] for row in tables if not row["comment"]] == []


async def test_constraints_are_named_by_kind_table_and_columns(owner: asyncpg.Connection) -> None:
    """SCHEMA-3."""
    for row in await owner.fetch(CONSTRAINTS):
        table, columns = row["table_name"], row["columns"]
        name = {
            "p": f"pk_{table}",
            "u": f"uq_{table}_{columns}",
            "f": f"fk_{table}_{columns}",
            "c": rf"ck_{table}_\w+",
        }
        assert re.fullmatch(name[row["type"]], row["name"]), row["name"]


async def test_indexes_are_named_by_kind_and_table(owner: asyncpg.Connection) -> None:
    """SCHEMA-3."""
    for row in await owner.fetch(INDEXES):
        kinds = "pk|uq" if row["is_unique"] else "idx"
        assert re.match(rf"({kinds})_{row['table_name']}(_|$)", row["name"]), row["name"]


async def test_a_foreign_key_has_an_index_or_a_reason(owner: asyncpg.Connection) -> None:
    """SCHEMA-4."""
    without = {row["conname"] for row in await owner.fetch(FOREIGN_KEYS_WITHOUT_INDEX)}
    reasons = {quoted(name)[0]: reason for name, reason in rows(section("## Foreign keys without an index"))}
    assert without == set(reasons)
    assert all(reasons.values())


async def test_a_key_is_a_uuid_an_identity_a_hash_or_that_of_another_row(
    owner: asyncpg.Connection,
) -> None:
    """SCHEMA-16."""
    for row in await owner.fetch(KEYS):
        kind = (row["type"], row["identity"], row["has_default"])
        assert kind in {("uuid", "", False), ("bigint", "a", False), ("bytea", "", False)}, row["name"]


async def test_the_page_has_every_table_and_column_with_its_type(owner: asyncpg.Connection) -> None:
    """SCHEMA-13."""
    described = re.findall(r"^#### `(\w+)`$", section("## Tables"), re.MULTILINE)
    assert sorted(described) == await table_names(owner)
    for table in described:
        columns = [(quoted(name)[0], kind, null == "yes") for name, kind, null, _ in rows(section(f"#### `{table}`"))]
        assert columns == [(r["name"], r["type"], r["nullable"]) for r in await owner.fetch(COLUMNS, table)], table


async def test_the_page_has_every_privilege_of_both_roles(owner: asyncpg.Connection) -> None:
    """SCHEMA-13."""
    granted = {quoted(table)[0]: cells for table, *cells in rows(section("## Roles"))}
    assert sorted(granted) == await table_names(owner)
    for table, cells in granted.items():
        for role, cell in zip(("layercake_app", "layercake_log"), cells, strict=True):
            for verb in ("select", "insert", "update", "delete"):
                assert await owner.fetchval(PRIVILEGE, role, table, verb) is (verb in cell), (role, verb, table)


async def test_every_source_column_is_here_planned_or_not_kept_for_a_reason(owner: asyncpg.Connection) -> None:
    """SCHEMA-13."""
    ours = {f"{table}.{row['name']}" for table in await table_names(owner) for row in await owner.fetch(COLUMNS, table)}
    accounted = dict(source_columns())
    assert len(accounted) == 387  # of the five documents
    for column, here in accounted.items():
        reason = re.match(r"not kept: \w+", here)
        assert here.strip("`") in ours or here.removeprefix("planned with ") in PARTS or reason, (column, here)


async def test_every_source_index_is_here_or_not_kept_for_a_reason(owner: asyncpg.Connection) -> None:
    """SCHEMA-13: "the same" is an index of that name; anything else names the index that serves."""
    ours = {row["name"] for row in await owner.fetch(INDEXES)}
    for _, theirs, here in rows(section("### Indexes of the tables that exist")):
        named = [name for name in quoted(here) if name.startswith(("idx_", "uq_"))]
        serving = quoted(theirs) if here.startswith("the same") else named
        assert here.startswith("not kept: ") or (serving and set(serving) <= ours), theirs


def picture() -> ET.Element:
    return ET.fromstring((DOCS / "schema.svg").read_text())


async def test_the_picture_has_every_table_with_columns_that_exist(owner: asyncpg.Connection) -> None:
    """SCHEMA-13: a drawn column has the type it has in the database."""
    drawn = {group.get("id"): [text.text for text in group.iter(f"{SVG}text")] for group in picture().iter(f"{SVG}g")}
    del drawn["legend"]
    assert sorted(map(str, drawn)) == await table_names(owner)
    for table, (title, *cells) in drawn.items():
        types = {row["name"]: row["type"] for row in await owner.fetch(COLUMNS, table)}
        assert title == table
        assert dict(zip(cells[::2], cells[1::2], strict=True)).items() <= types.items(), table


async def test_the_picture_has_every_foreign_key(owner: asyncpg.Connection) -> None:
    """SCHEMA-13."""
    drawn = {path.get("id") for path in picture().iter(f"{SVG}path")} - {None}
    assert drawn == {row["name"] for row in await owner.fetch(CONSTRAINTS) if row["type"] == "f"}
