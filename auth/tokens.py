"""Tokens, made and read. Pure: time, keys and randomness are arguments.

Access tokens are JWTs (RFC 7519) of the type at+jwt (RFC 9068), signed with HS256 by a key of ours and read by the
rules of RFC 8725: the algorithm is fixed, every claim is required, and the type tells them from tokens for other uses.
All others are opaque: a prefix that says what it is for, and 32 random bytes; what is stored is their SHA-256.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import jwt
from jwt.types import Options

from persistence.people_records import SigningKey

ISSUER = "layercake"
ACCESS_AUDIENCE = "layercake"
DEVICE_AUDIENCE = "layercake-device"
RANDOM_BYTES = 32
"""How much randomness an opaque token takes."""

MAX_CHARACTERS = 8 * 1024
"""Nothing longer is a token of anybody's: it would not fit into a request's head with others."""

_ALGORITHM = "HS256"
_ACCESS_TYPE = "at+jwt"
_DEVICE_TYPE = "device+jwt"
_CLOCKS_DIFFER_BY = timedelta(seconds=5)
# Times are checked here, by `now` instead of the clock.
_CHECKED: Options = {
    "require": ["iss", "aud", "sub", "iat", "nbf", "exp"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


class Prefix(StrEnum):
    """What an opaque token is for."""

    REFRESH = "lcr_"
    PERSONAL_ACCESS = "lcp_"
    SHARE_LINK = "lcs_"
    INVITATION = "lci_"


class InvalidTokenError(Exception):
    """A token that is not ours, not any more or not yet; which of these, nobody is told."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """Who someone is, as of which session, and from when until when (whole seconds)."""

    user_id: UUID
    session_id: UUID
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DeviceToken:
    """A device on which a person has signed in once; it opens nothing."""

    user_id: UUID
    device_id: UUID
    issued_at: datetime
    expires_at: datetime


def make_access_token(token: AccessToken, key: SigningKey) -> str:
    """Return `token`, signed."""
    claims: dict[str, object] = {"aud": ACCESS_AUDIENCE, "sid": str(token.session_id)}
    return _sign(_ACCESS_TYPE, token, claims, key)


def read_access_token(text: str, keys: Mapping[str, SigningKey], now: datetime) -> AccessToken:
    """Return the token that is in `text`, signed by one of `keys` (by id) and in force. Raises InvalidTokenError."""
    claims = _verified(text, _ACCESS_TYPE, ACCESS_AUDIENCE, keys)
    return AccessToken(_id(claims["sub"]), _id(claims.get("sid")), *_in_force(claims, now))


def make_device_token(token: DeviceToken, key: SigningKey) -> str:
    """Return `token`, signed."""
    claims: dict[str, object] = {"aud": DEVICE_AUDIENCE, "jti": str(token.device_id)}
    return _sign(_DEVICE_TYPE, token, claims, key)


def read_device_token(text: str, keys: Mapping[str, SigningKey], now: datetime) -> DeviceToken:
    """Return the token that is in `text`, as `read_access_token` does."""
    claims = _verified(text, _DEVICE_TYPE, DEVICE_AUDIENCE, keys)
    return DeviceToken(_id(claims["sub"]), _id(claims.get("jti")), *_in_force(claims, now))


def issuer_of(text: str) -> str | None:
    """Return whom a JWT names as its issuer, unverified; None if it is no JWT or names nobody."""
    try:
        issuer = jwt.decode(text, options={"verify_signature": False}).get("iss")
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    return issuer if isinstance(issuer, str) else None


def make_opaque_token(prefix: Prefix, random: bytes) -> str:
    """Return a token of `random` (RANDOM_BYTES long)."""
    return prefix + urlsafe_b64encode(random).rstrip(b"=").decode()


def hash_token(token: str) -> bytes:
    """Return what is stored of an opaque token. A plain hash is enough: nobody guesses 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _sign(kind: str, token: AccessToken | DeviceToken, claims: dict[str, object], key: SigningKey) -> str:
    moments = {"iat": int(token.issued_at.timestamp()), "exp": int(token.expires_at.timestamp())}
    payload = {"iss": ISSUER, "sub": str(token.user_id), "nbf": moments["iat"]} | moments | claims
    return jwt.encode(payload, key.secret, _ALGORITHM, {"typ": kind, "kid": str(key.id)})


def _verified(text: str, kind: str, audience: str, keys: Mapping[str, SigningKey]) -> dict[str, Any]:
    """Return the claims of a token that is as it was signed; whether it is in force is another question."""
    try:
        header = jwt.get_unverified_header(text)
        if header.get("typ") != kind:
            raise InvalidTokenError
        claims: dict[str, Any] = jwt.decode(
            text,
            keys[header["kid"]].secret,
            [_ALGORITHM],
            options=_CHECKED,
            issuer=ISSUER,
            audience=audience,
        )
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, RecursionError):
        raise InvalidTokenError from None
    return claims


def _in_force(claims: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime]:
    """Return from when and until when a token is in force, if `now` is between. Raises InvalidTokenError."""
    issued_at, starts_at, ends_at = (_moment(claims[name]) for name in ("iat", "nbf", "exp"))
    if max(issued_at, starts_at) > now + _CLOCKS_DIFFER_BY or ends_at <= now:
        raise InvalidTokenError
    return issued_at, ends_at


def _moment(seconds: object) -> datetime:
    if not isinstance(seconds, int):
        raise InvalidTokenError
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise InvalidTokenError from None


def _id(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise InvalidTokenError from None
