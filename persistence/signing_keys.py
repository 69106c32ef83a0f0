"""Rows of `signing_keys`: what access tokens are signed with, the same for all servers of a database."""

import secrets

from persistence.database import Database
from persistence.identifiers import new_id
from persistence.people_records import SigningKey

_SECRET_BYTES = 32


class SigningKeys:
    """The keys of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    LIST = "SELECT id, secret FROM signing_keys ORDER BY id"
    # Servers that start at once on a new database must agree on its first key; the number is this table's alone.
    LOCK = "SELECT pg_advisory_xact_lock(7310251204467115887)"
    ADD = "INSERT INTO signing_keys (id, secret) VALUES ($1, $2)"

    async def all(self) -> tuple[SigningKey, ...]:
        """Return every key, the newest last; there is one afterwards, however many servers ask at once."""
        async with self._database.service() as connection:
            rows = await connection.fetch(self.LIST)
            if not rows:
                await connection.execute(self.LOCK)
                rows = await connection.fetch(self.LIST)
            if not rows:
                await connection.execute(self.ADD, new_id(), secrets.token_bytes(_SECRET_BYTES))
                rows = await connection.fetch(self.LIST)
        return tuple(SigningKey(row["id"], row["secret"]) for row in rows)
