"""Leaky buckets on a real PostgreSQL: what `persistence.throttles.Throttles` promises, AUTH-15 to AUTH-17."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from persistence.database import Database
from persistence.people_records import Bucket
from persistence.throttles import MAX_BUCKETS, Throttles

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
BUCKET = Bucket(b"b" * 32, 3.0, 1 / 10)


async def test_AUTH_15_a_bucket_leaks_and_says_how_long_it_is_full(database: Database) -> None:
    throttles, second = Throttles(database), timedelta(seconds=1)

    assert [await throttles.pour([BUCKET], NOW) for _ in range(4)] == [0, 0, 0, pytest.approx(10)]
    assert await throttles.pour([BUCKET], NOW + 4 * second) == pytest.approx(6)
    assert await throttles.pour([BUCKET], NOW + 10 * second) == 0
    assert await throttles.pour([BUCKET], NOW + 10 * second) == pytest.approx(10)
    assert await throttles.pour([BUCKET], NOW - 3600 * second) == pytest.approx(10), (
        "a clock that goes back adds nothing"
    )
    assert [await throttles.pour([BUCKET], NOW + 3600 * second) for _ in range(3)] == [0, 0, 0]


async def test_AUTH_17_what_one_bucket_refuses_no_other_counts(database: Database) -> None:
    throttles = Throttles(database)
    first = Bucket(b"a" * 32, 10.0, 1.0)
    for _ in range(3):
        await throttles.pour([BUCKET], NOW)
    assert await throttles.pour([first, BUCKET], NOW) > 0

    assert [await throttles.pour([first], NOW) for _ in range(10)] == [0] * 10, "none was counted before"


async def test_AUTH_17_counts_are_forgotten(database: Database, database_url: str) -> None:
    many = """
        INSERT INTO sign_in_throttles (key, level, updated_at)
        SELECT sha256(i::text::bytea), 1, $1::timestamptz - i * interval '1 millisecond' FROM generate_series(1, $2) i
    """
    owner = await asyncpg.connect(database_url)
    await owner.execute(many, NOW, MAX_BUCKETS + 50)
    throttles = Throttles(database)
    count = "SELECT count(*) FROM sign_in_throttles"

    await throttles.forget(NOW)
    assert await owner.fetchval(count) == MAX_BUCKETS + 1
    await throttles.forget(NOW + timedelta(hours=3))
    assert await owner.fetchval(count) == 0
    await owner.close()
