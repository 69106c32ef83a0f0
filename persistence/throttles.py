"""Rows of `sign_in_throttles`: leaky buckets of failed sign-ins, the same for all servers of a database."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from persistence.audit import append_audit
from persistence.database import Database
from persistence.people_records import AuditEntry, Bucket

MAX_BUCKETS = 100_000
FORGOTTEN_AFTER = timedelta(hours=2)
"""Every bucket is empty by then."""


class _BucketFullError(Exception):
    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


class Throttles:
    """The buckets of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    POUR = """
        INSERT INTO sign_in_throttles AS t (key, level, updated_at) VALUES ($1, 1, $2)
        ON CONFLICT (key) DO UPDATE SET updated_at = greatest($2, t.updated_at),
            level = 1 + greatest(0, t.level - $3 * greatest(0, extract(epoch FROM $2 - t.updated_at)))
        WHERE t.level - $3 * greatest(0, extract(epoch FROM $2 - t.updated_at)) <= $4 - 1
        RETURNING level
    """
    LEVEL = """
        SELECT level - $3 * greatest(0, extract(epoch FROM $2 - updated_at))::float8
        FROM sign_in_throttles WHERE key = $1
    """

    async def pour(self, buckets: Sequence[Bucket], now: datetime) -> float:
        """Count one attempt in every bucket and return 0; in none if one is full, and return how many seconds it is."""
        try:
            async with self._database.service() as connection:
                for bucket in sorted(buckets, key=lambda one: one.key):  # all in one order, or two might lock crosswise
                    await self._pour(connection, bucket, now)
        except _BucketFullError as full:
            return full.wait_s
        return 0.0

    async def _pour(self, connection: asyncpg.Connection, bucket: Bucket, now: datetime) -> None:
        arguments = (bucket.key, now, bucket.leak_per_s)
        if await connection.fetchval(self.POUR, *arguments, bucket.capacity) is None:
            level: float = await connection.fetchval(self.LEVEL, *arguments)
            raise _BucketFullError((level + 1 - bucket.capacity) / bucket.leak_per_s)

    TAKE_BACK = "UPDATE sign_in_throttles SET level = greatest(0, level - 1) WHERE key = ANY($1)"
    EMPTY = "DELETE FROM sign_in_throttles WHERE key = ANY($1)"
    LOCK = "SELECT key FROM sign_in_throttles WHERE key = ANY($1) ORDER BY key FOR UPDATE"

    async def absolve(self, emptied: Sequence[Bucket], taken_back: Sequence[Bucket]) -> None:
        """Count an attempt as none after all, and those before it neither in the buckets that are `emptied`."""
        async with self._database.service() as connection:
            await connection.execute(self.LOCK, [bucket.key for bucket in (*emptied, *taken_back)])
            await connection.execute(self.EMPTY, [bucket.key for bucket in emptied])
            await connection.execute(self.TAKE_BACK, [bucket.key for bucket in taken_back])

    FORGET = """
        DELETE FROM sign_in_throttles WHERE updated_at < $1 OR updated_at < (
            SELECT updated_at FROM sign_in_throttles ORDER BY updated_at DESC OFFSET $2 LIMIT 1
        )
    """

    async def forget(self, now: datetime) -> None:
        """Forget buckets that are empty by now, and beyond MAX_BUCKETS those that were touched longest ago."""
        async with self._database.service() as connection:
            await connection.execute(self.FORGET, now - FORGOTTEN_AFTER, MAX_BUCKETS)

    WAS_TOLD = """
        SELECT EXISTS (
            SELECT FROM audit_log WHERE action = $1 AND user_id = $2 AND created_at > now() - interval '1 minute'
                AND (address <<= $3::text::cidr OR $3::text IS NULL)
        )
    """

    async def tell_refusal(self, entry: AuditEntry, network: str | None) -> None:
        """Write `entry` down, unless the same happened to the account from `network` within the last minute."""
        async with self._database.service() as connection:
            if not await connection.fetchval(self.WAS_TOLD, entry.action, entry.user_id, network):
                await append_audit(connection, entry)
