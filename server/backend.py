"""Whoever comes with a token of the team's own backend."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx
import orjson

from auth.backend_tokens import (
    MIN_SECRET_BYTES,
    BackendClaims,
    BackendKeys,
    BackendRules,
    BackendTokenError,
    NotYetValidError,
    PublicKeys,
    SharedSecret,
    UnknownKeyError,
    verify,
)
from auth.names import seen
from auth.policy import Credential, Principal
from persistence.database import Database
from persistence.external_people import ExternalPeople
from server.door import UnauthenticatedError
from server.jwks import FETCH_TIMEOUT_S, JwksUrl
from server.origin import is_loopback
from server.settings import Settings, SettingsError

_OWN_ISSUER = "layercake"
_NAMELESS = "external"


class KeySource(Protocol):
    """Where the keys of the backend come from."""

    async def keys(self, *, newer: bool = False) -> BackendKeys:
        """Return them; with `newer` those that are there by now. Raises KeysUnavailableError."""


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that were read once, from a setting or a file."""

    value: BackendKeys

    async def keys(self, *, newer: bool = False) -> BackendKeys:  # noqa: ARG002 - there are no newer ones
        """Return the keys."""
        return self.value


def _shown_name(claims: BackendClaims) -> str:
    return seen(claims.name or "") or seen(claims.subject[:200]) or _NAMELESS


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class BackendTokens:
    """Finds out whom a token of the backend names."""

    source: KeySource
    rules: BackendRules
    people: ExternalPeople
    now: Callable[[], datetime] = _now

    async def __call__(self, token: str) -> Principal:
        """Return who comes, with a role in one graph and nothing else; their row is made at the first sight.

        Raises UnauthenticatedError, which says what is wrong with the token, and StoreUnavailableError.
        """
        try:
            claims = await self._claims(token)
        except BackendTokenError as error:
            is_passing = isinstance(error, NotYetValidError | UnknownKeyError)
            raise UnauthenticatedError(str(error), is_passing=is_passing) from None
        person = await self.people.seen(self.rules.issuer, claims.subject, _shown_name(claims))
        if not person.is_active:
            raise UnauthenticatedError("this person is disabled; ask whoever looks after this server")
        credential = Credential("backend", None, claims.expires_at)
        return Principal(person.id, person.name, "person", credential, grant=claims.grant)

    async def _claims(self, token: str) -> BackendClaims:
        try:
            return verify(token, await self.source.keys(), self.rules, self.now())
        except UnknownKeyError:
            return verify(token, await self.source.keys(newer=True), self.rules, self.now())


@asynccontextmanager
async def backend_tokens(settings: Settings, database: Database) -> AsyncIterator[BackendTokens | None]:
    """Give what checks the backend's tokens as long as the block lasts; None if no issuer is set.

    Raises SettingsError if the settings name no keys, more than one kind, or some that are none.
    """
    check_backend(settings)
    if settings.backend_issuer is None:
        yield None
        return
    age = timedelta(seconds=settings.backend_token_s)
    rules = BackendRules(settings.backend_issuer, settings.backend_audience, age)
    people = ExternalPeople(database)
    if settings.backend_jwks_url is None:
        yield BackendTokens(FixedKeys(_fixed(settings)), rules, people)
        return
    async with httpx.AsyncClient(timeout=FETCH_TIMEOUT_S) as http:
        source = JwksUrl(settings.backend_jwks_url, http)
        try:
            yield BackendTokens(source, rules, people)
        finally:
            await source.close()


def check_backend(settings: Settings) -> None:
    """Return if the settings of the backend's tokens make sense. Raises SettingsError."""
    sources = (
        settings.backend_secret,
        settings.backend_secret_file,
        settings.backend_jwks_url,
        settings.backend_jwks_file,
    )
    count = sum(source is not None for source in sources)
    if count == 0 and settings.backend_issuer is None:
        return
    if count != 1 or settings.backend_issuer is None:
        raise SettingsError(
            "tokens of your backend need LAYERCAKE_BACKEND_ISSUER and one of LAYERCAKE_BACKEND_SECRET, "
            "LAYERCAKE_BACKEND_SECRET_FILE, LAYERCAKE_BACKEND_JWKS_URL and LAYERCAKE_BACKEND_JWKS_FILE"
        )
    if settings.backend_issuer == _OWN_ISSUER:
        raise SettingsError(f"LAYERCAKE_BACKEND_ISSUER: {_OWN_ISSUER} signs this server's own tokens; take another")
    if settings.backend_jwks_url is not None:
        _check_url(settings.backend_jwks_url)
    else:
        _fixed(settings)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))):
        raise SettingsError("LAYERCAKE_BACKEND_JWKS_URL: write it like https://host/path; http is for loopback only")


def _fixed(settings: Settings) -> BackendKeys:
    if settings.backend_jwks_file is not None:
        return _public_keys(settings.backend_jwks_file)
    secret = _read(settings.backend_secret_file).strip() if settings.backend_secret_file is not None else b""
    if settings.backend_secret is not None:
        secret = settings.backend_secret.get_secret_value().encode()
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsError(
            f"the secret of your backend has fewer than {MIN_SECRET_BYTES} bytes; make one with `openssl rand -hex 32`"
        )
    return SharedSecret(secret)


def _public_keys(file: Path) -> PublicKeys:
    try:
        return PublicKeys.of(orjson.loads(_read(file)))
    except ValueError as error:
        raise SettingsError(f"{file} cannot be used: {error}") from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read ({error.strerror}); correct the name, or its rights") from None
