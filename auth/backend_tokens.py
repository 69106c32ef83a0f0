"""Tokens that the team's own backend signs: who comes, into which graph, as what.

Pure: the keys and the time are arguments. A shared secret verifies HS256 only and a public key only the algorithm of
its type, so that no token chooses by what it is checked. Sources: RFC 7519 (JWT), RFC 7517 (JWK), RFC 8725 (JWT best
current practices).
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from auth.errors import AuthError
from persistence.records import Grant, RoleName

MIN_SECRET_BYTES = 32
"""RFC 7518 section 3.2: a key of the size of the hash, or larger."""
MAX_TOKEN_CHARACTERS = 8192
MAX_KEYS = 32
LEEWAY = timedelta(seconds=30)
"""How far the backend's clock may be ahead of ours."""

_MAX_SUBJECT_BYTES = 1024
_MAX_NAME_CHARACTERS = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UUID_CHARACTERS = 36
_MIN_RSA_BITS = 2048
_ASYMMETRIC = ("RS256", "ES256", "EdDSA")
_UNCHECKED: Any = dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss"), False)


class BackendTokenError(AuthError):
    """A token that opens nothing; the message says what is wrong with it, for whoever writes the backend."""


class NotYetValidError(BackendTokenError):
    """The token is for later."""

    def __init__(self, claim: str) -> None:
        super().__init__(f"the token is not valid yet ({claim})")
        self.claim = claim


class UnknownKeyError(BackendTokenError):
    """The token names a key that is not known (yet)."""

    def __init__(self) -> None:
        super().__init__("the token names a key that the JWKS does not have")


class KeySetError(ValueError):
    """A document that has no keys of any use."""


@dataclass(frozen=True, slots=True)
class BackendRules:
    """What a token has to say to be for us."""

    issuer: str
    audience: str
    max_age: timedelta
    """How far ahead it may expire."""


@dataclass(frozen=True, slots=True)
class BackendClaims:
    """What a token that was verified says."""

    subject: str
    name: str | None
    grant: Grant
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """What signs and verifies: at least MIN_SECRET_BYTES that nobody else knows."""

    secret: bytes

    def verify(self, token: str) -> Mapping[str, Any]:
        """Return the claims; raises BackendTokenError."""
        return _decoded(token, self.secret, "HS256")


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The keys of a JWKS that can verify."""

    keys: tuple[jwt.PyJWK, ...]

    @classmethod
    def of(cls, document: Any) -> "PublicKeys":
        """Return the usable keys of a JSON Web Key Set; what else is in it is passed over. Raises KeySetError."""
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            raise KeySetError("it is no JSON Web Key Set")
        keys = []
        for one in listed[:MAX_KEYS]:
            with suppress(jwt.PyJWTError, ValueError, TypeError, AttributeError):
                keys.append(jwt.PyJWK(one))
        usable = tuple(filter(_can_verify, keys))
        if not usable:
            raise KeySetError("it has no public key for RS256 (of 2048 bits or more), ES256 or EdDSA")
        return cls(usable)

    def verify(self, token: str) -> Mapping[str, Any]:
        """Return the claims; raises UnknownKeyError if the token names another key, else BackendTokenError."""
        key_id = _key_id(token)
        keys = [key for key in self.keys if key_id in (None, key.key_id)]
        if not keys:
            raise UnknownKeyError
        for key in keys[:-1]:
            with suppress(BackendTokenError):
                return _decoded(token, key, key.algorithm_name)
        return _decoded(token, keys[-1], keys[-1].algorithm_name)


BackendKeys = SharedSecret | PublicKeys


def verify(token: str, keys: BackendKeys, rules: BackendRules, now: datetime) -> BackendClaims:
    """Return what `token` says if one of `keys` signed it for us and it is valid at `now`. Raises BackendTokenError."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise BackendTokenError(f"the token has more than {MAX_TOKEN_CHARACTERS} characters")
    claims = keys.verify(token)
    _check_parties(claims, rules)
    expires_at = _moment(claims, "exp")
    _check_times(claims, expires_at, rules, now)
    return BackendClaims(_subject(claims), _name(claims), _grant(claims), expires_at)


def _decoded(token: str, key: Any, algorithm: str) -> Mapping[str, Any]:
    try:
        decoded = jwt.decode_complete(token, key, algorithms=[algorithm], options=_UNCHECKED)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise BackendTokenError(f"the token is not signed as it should be ({error})") from None
    if "crit" in decoded["header"]:
        raise BackendTokenError("the token's header asks for what is not understood (crit)")
    claims: Mapping[str, Any] = decoded["payload"]
    return claims


def _can_verify(key: jwt.PyJWK) -> bool:
    is_strong = not isinstance(key.key, RSAPublicKey) or key.key.key_size >= _MIN_RSA_BITS
    return key.algorithm_name in _ASYMMETRIC and key.public_key_use in (None, "sig") and is_strong


def _key_id(token: str) -> str | None:
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError) as error:
        raise BackendTokenError(f"this is no token ({error})") from None
    return key_id if isinstance(key_id, str) else None


def _check_parties(claims: Mapping[str, Any], rules: BackendRules) -> None:
    if claims.get("iss") != rules.issuer:
        raise BackendTokenError("the token's issuer (iss) is another one than backend_issuer")
    audience = claims.get("aud")
    if rules.audience not in (audience if isinstance(audience, list) else [audience]):
        raise BackendTokenError("the token's audience (aud) is another one than backend_audience")


def _check_times(claims: Mapping[str, Any], expires_at: datetime, rules: BackendRules, now: datetime) -> None:
    if expires_at <= now:
        raise BackendTokenError("the token has expired")
    if expires_at > now + rules.max_age + LEEWAY:
        raise BackendTokenError(f"the token expires later than backend_token_s from now ({rules.max_age})")
    for name in ("nbf", "iat"):
        if name in claims and _moment(claims, name) > now + LEEWAY:
            raise NotYetValidError(name)


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    seconds = claims.get(name)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BackendTokenError(f"the token has no {name}, in seconds since 1970")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BackendTokenError(f"the token's {name} is no time") from None


def _subject(claims: Mapping[str, Any]) -> str:
    return _claim(claims, "sub", lambda text: len(text.encode()) <= _MAX_SUBJECT_BYTES)


def _name(claims: Mapping[str, Any]) -> str | None:
    if claims.get("name") in (None, ""):
        return None
    return _claim(claims, "name", lambda _: True).strip()[:_MAX_NAME_CHARACTERS] or None


def _grant(claims: Mapping[str, Any]) -> Grant:
    role = _claim(claims, "role", lambda text: text in get_args(RoleName))
    graph = _claim(claims, "graph", lambda text: len(text) == _UUID_CHARACTERS)
    try:
        return Grant(UUID(graph), role)  # type: ignore[arg-type]
    except ValueError:
        raise BackendTokenError("the token's graph is no UUID") from None


def _claim(claims: Mapping[str, Any], name: str, is_valid: Callable[[str], bool]) -> str:
    value = claims.get(name)
    with suppress(UnicodeEncodeError):  # half of a surrogate pair
        if isinstance(value, str) and value.encode() and not _CONTROL.search(value) and is_valid(value):
            return value
    raise BackendTokenError(f"the token's {name} is missing, or not what docs/embedding.md asks for")
