"""Rights that are in use: what changes them is told by PostgreSQL, and looked up again for many at a time."""

from collections.abc import Callable, Sequence
from uuid import UUID

from persistence.database import Database
from persistence.notices import Notices
from persistence.ports import Claim, RightsNotice, Verdict

_CHANNEL = "layercake_rights"


class RightsNotices:
    """Hears of every change of rights in the database, whichever process makes it, on a connection of its own."""

    def __init__(self, database: Database) -> None:
        self._notices = Notices(database, _CHANNEL, "rights")

    @property
    def is_listening(self) -> bool:
        """Whether notices arrive, as far as anybody has noticed."""
        return self._notices.is_listening

    async def run(self, changed: Callable[[RightsNotice | None], None]) -> None:
        """Call `changed` with every notice until cancelled, and with None whenever some may have been missed."""
        await self._notices.run(lambda payload: changed(None if payload is None else _notice(payload)))


class StoredRights:
    """A `persistence.ports.RightsStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    LOOK_UP = """
        SELECT
            CASE c.kind
                WHEN 'open' THEN true
                WHEN 'session' THEN u.is_active AND NOT s.revoked AND s.expires_at > now()
                WHEN 'token' THEN u.is_active AND t.revoked_at IS NULL AND t.id IS NOT NULL
                WHEN 'share' THEN l.revoked_at IS NULL AND l.id IS NOT NULL
                ELSE u.is_active
            END IS TRUE AS is_valid,
            CASE c.kind
                WHEN 'session' THEN s.access_expires_at
                WHEN 'token' THEN t.expires_at
                WHEN 'share' THEN l.expires_at
            END AS expires_at,
            graph_is_there(c.graph_id) AS is_there,
            coalesce(c.granted_role, CASE c.kind
                WHEN 'open' THEN 'admin'
                WHEN 'share' THEN l.role
                ELSE role_of_user_in_graph(c.user_id, c.graph_id)
            END) AS role
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[]) WITH ORDINALITY
            AS c (user_id, graph_id, kind, credential_id, granted_role, number)
        LEFT JOIN users u ON u.id = c.user_id
        LEFT JOIN sessions s ON c.kind = 'session' AND s.id = c.credential_id AND s.user_id = c.user_id
        LEFT JOIN personal_access_tokens t ON c.kind = 'token' AND t.id = c.credential_id AND t.user_id = c.user_id
        LEFT JOIN share_links l ON c.kind = 'share' AND l.id = c.credential_id AND l.graph_id = c.graph_id
        ORDER BY c.number
    """

    async def look_up(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Return a verdict for each claim, in order, as of one moment. Raises StoreError."""
        async with self._database.service() as connection:
            rows = await connection.fetch(self.LOOK_UP, *map(list, zip(*claims, strict=True)))
        return [Verdict(*row) for row in rows]


def _notice(payload: str) -> RightsNotice | None:
    """Return what a notice tells; None for what is none of ours, which may stand for anything."""
    kind, _, changed_id = payload.partition(":")
    try:
        return RightsNotice(kind, UUID(changed_id))
    except ValueError:
        return None
