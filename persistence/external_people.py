"""Rows of `users` whose accounts are those of the team's own backend."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.identifiers import new_id


@dataclass(frozen=True, slots=True)
class ExternalPerson:
    """Somebody whom the tokens of an issuer name."""

    id: UUID
    name: str
    is_active: bool


class ExternalPeople:
    """People by issuer and subject; each has one row from the first token on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # One who was anonymised (persistence/users.py) is known by a hash, and never a new person.
    FIND = """
        SELECT id, coalesce(full_name, username) AS name, is_active FROM users
        WHERE external_issuer = $1
            AND external_subject IN ($2, 'anonymised:' || encode(sha256(convert_to($2::text, 'UTF8')), 'hex'))
        ORDER BY is_active LIMIT 1
    """

    KEEP = """
        INSERT INTO users (id, username, full_name, external_issuer, external_subject) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (external_issuer, external_subject) WHERE external_subject IS NOT NULL
        DO UPDATE SET full_name = CASE WHEN users.is_active THEN excluded.full_name ELSE users.full_name END
        RETURNING id, coalesce(full_name, username) AS name, is_active
    """

    async def seen(self, issuer: str, subject: str, name: str) -> ExternalPerson:
        """Return the person, made at the first sight, under this name from now on; a disabled one keeps the old.

        One who was anonymised is not made again, and is not active.

        Idempotent, also for two servers at once.
        """
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.FIND, issuer, subject)
            if row is None or (row["is_active"] and row["name"] != name):
                person_id = new_id()
                row = await connection.fetchrow(self.KEEP, person_id, f"external-{person_id}", name, issuer, subject)
        assert row is not None
        return _person(row)


def _person(row: asyncpg.Record) -> ExternalPerson:
    return ExternalPerson(row["id"], row["name"], row["is_active"])
