"""Who stands behind a request, on a server with accounts."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from auth.keys import Keys
from auth.policy import Action, Credential, Principal
from auth.ports import Clock
from auth.tokens import ISSUER, MAX_CHARACTERS, InvalidTokenError, Prefix, hash_token, issuer_of, read_access_token
from collab.doorkeeper import Visitor
from persistence.credentials import Credentials
from persistence.database import Database
from persistence.people_records import KnownByLink, KnownByToken
from persistence.records import ANONYMOUS_USER_ID, Grant
from persistence.signing_keys import SigningKeys
from server.door import UnauthenticatedError

GUESTS_NAME = "Guest"

Backend = Callable[[str], Awaitable[Principal]]
"""Returns who a token of another issuer names; raises UnauthenticatedError."""


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Authentication:
    """The `server.door.Authenticator` of a server with accounts.

    A token is tried before the page's cookie, and is the only one tried. One statement in the database says whether it
    is still in force; what is no token of ours costs none.
    """

    def __init__(self, database: Database, *, clock: Clock = now, backend: Backend | None = None) -> None:
        self._keys = Keys(SigningKeys(database))
        self._credentials = Credentials(database)
        self._clock = clock
        self._backend = backend

    async def __call__(self, visitor: Visitor, token: str | None) -> Principal:
        """Return who sends the token, or else the cookie. Raises UnauthenticatedError."""
        text = visitor.cookie if token is None else token
        if text is None or len(text) > MAX_CHARACTERS:
            raise UnauthenticatedError
        if text.startswith(Prefix.PERSONAL_ACCESS):
            return await self._by_personal_access_token(text)
        if text.startswith(Prefix.SHARE_LINK):
            return await self._by_share_link(text)
        issuer = issuer_of(text)
        if issuer == ISSUER:
            return await self._by_session(text)
        if issuer is None or self._backend is None:
            raise UnauthenticatedError
        return await self._backend(text)

    async def _by_session(self, text: str) -> Principal:
        moment = self._clock()
        try:
            token = read_access_token(text, await self._keys.by_id(), moment)
        except InvalidTokenError:
            raise UnauthenticatedError from None
        person = await self._credentials.of_session(token.session_id, token.user_id, moment)
        if person is None:
            raise UnauthenticatedError
        credential = Credential("session", token.session_id, token.expires_at)
        return Principal(person.id, person.name, "person", credential, person.is_admin)

    async def _by_personal_access_token(self, text: str) -> Principal:
        known = await self._credentials.of_token(hash_token(text), self._clock())
        if known is None:
            raise UnauthenticatedError
        return _by_token(known)

    async def _by_share_link(self, text: str) -> Principal:
        known = await self._credentials.of_link(hash_token(text), self._clock())
        if known is None:
            raise UnauthenticatedError
        return _guest(known)


def _by_token(known: KnownByToken) -> Principal:
    credential = Credential("token", known.token_id, known.expires_at)
    scopes = frozenset(map(Action, known.scopes))
    return Principal(known.person.id, known.person.name, "agent", credential, known.person.is_admin, scopes=scopes)


def _guest(known: KnownByLink) -> Principal:
    credential, grant = Credential("share", known.link_id, known.expires_at), Grant(known.graph_id, known.role)
    return Principal(ANONYMOUS_USER_ID, GUESTS_NAME, "person", credential, grant=grant)
