"""Tokens: what is read is what was signed, by us, for this use, and in force."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import orjson
import pytest

from auth.tokens import (
    AccessToken,
    DeviceToken,
    InvalidTokenError,
    Prefix,
    hash_token,
    issuer_of,
    make_access_token,
    make_device_token,
    make_opaque_token,
    read_access_token,
    read_device_token,
)
from persistence.people_records import SigningKey

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SOON = NOW + timedelta(minutes=10)
ME, SESSION = UUID(int=1), UUID(int=2)
KEY, OTHER_KEY = SigningKey(UUID(int=3), b"k" * 32), SigningKey(UUID(int=4), b"o" * 32)
KEYS = {str(key.id): key for key in (KEY, OTHER_KEY)}
TOKEN = AccessToken(ME, SESSION, NOW, SOON)
CLAIMS = {
    "iss": "layercake",
    "aud": "layercake",
    "sub": str(ME),
    "sid": str(SESSION),
    "iat": int(NOW.timestamp()),
    "nbf": int(NOW.timestamp()),
    "exp": int(SOON.timestamp()),
}
HEADER = {"typ": "at+jwt", "kid": str(KEY.id)}


def signed(
    claims: Mapping[str, Any] = {}, header: Mapping[str, Any] = {}, key: bytes = KEY.secret, algorithm: str = "HS256"
) -> str:
    """A token like ours, but for some claims (None leaves one out) and members of its header."""
    given = {name: value for name, value in (CLAIMS | dict(claims)).items() if value is not None}
    return jwt.encode(given, key, algorithm, HEADER | dict(header))


def piece(content: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(content)).rstrip(b"=").decode()


def test_AUTH_5_a_token_is_read_as_it_was_made() -> None:
    text = make_access_token(TOKEN, KEY)

    assert read_access_token(text, KEYS, NOW) == TOKEN
    assert read_access_token(make_access_token(TOKEN, OTHER_KEY), KEYS, NOW) == TOKEN
    assert jwt.get_unverified_header(text) == {"alg": "HS256", "typ": "at+jwt", "kid": str(KEY.id)}
    assert jwt.decode(text, options={"verify_signature": False}) == CLAIMS
    assert read_access_token(signed(), KEYS, NOW) == TOKEN, "or the tests below prove nothing"


@pytest.mark.parametrize(
    "forged",
    {
        "wrong key": signed(key=b"x" * 32),
        "key of another id": signed(header={"kid": str(OTHER_KEY.id)}),
        "unknown key": signed(header={"kid": str(UUID(int=9))}),
        "no key": jwt.encode(CLAIMS, KEY.secret, "HS256", {"typ": "at+jwt"}),
        "alg none": f"{piece({'alg': 'none', **HEADER})}.{piece(CLAIMS)}.",
        "alg None": f"{piece({'alg': 'None', **HEADER})}.{piece(CLAIMS)}.",
        "other algorithm": signed(key=KEY.secret * 2, algorithm="HS512"),
        "other algorithm, same key": signed(algorithm="HS384", key=KEY.secret * 2),
        "other use": signed(header={"typ": "device+jwt"}),
        "any use": signed(header={"typ": "JWT"}),
        "other audience": signed({"aud": "elsewhere"}),
        "other issuer": signed({"iss": "elsewhere"}),
        "no person": signed({"sub": "nobody"}),
        "no session": signed({"sid": "none"}),
        "time in words": signed({"exp": "tomorrow"}),
        "time without end": signed({"exp": 10**30}),
        "half a second": signed({"exp": float("inf")}),
        "nothing": "",
        "dots": "..",
        "text": "a.b.c",
        "lone surrogate": "\ud800.\ud800.\ud800",
        "nested": "[" * 5000,
    }.items(),
    ids=lambda case: case[0],
)
def test_AUTH_6_a_forged_token_is_refused(forged: tuple[str, str]) -> None:
    with pytest.raises(InvalidTokenError):
        read_access_token(forged[1], KEYS, NOW)


@pytest.mark.parametrize("claim", CLAIMS)
def test_AUTH_6_every_claim_is_required(claim: str) -> None:
    with pytest.raises(InvalidTokenError):
        read_access_token(signed({claim: None}), KEYS, NOW)


@pytest.mark.parametrize("position", range(0, len(make_access_token(TOKEN, KEY)), 17))
def test_AUTH_6_a_tampered_token_is_refused(position: int) -> None:
    text = make_access_token(TOKEN, KEY)
    tampered = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]

    with pytest.raises(InvalidTokenError):
        read_access_token(tampered, KEYS, NOW)


def test_AUTH_6_a_token_holds_from_its_beginning_to_its_end() -> None:
    second, text = timedelta(seconds=1), make_access_token(TOKEN, KEY)

    for moment in (NOW - 5 * second, SOON - second):
        assert read_access_token(text, KEYS, moment) == TOKEN
    for moment in (NOW - 6 * second, SOON, SOON + timedelta(days=1)):
        with pytest.raises(InvalidTokenError):
            read_access_token(text, KEYS, moment)
    with pytest.raises(InvalidTokenError):
        read_access_token(signed({"nbf": int(SOON.timestamp())}), KEYS, NOW)


def test_AUTH_6_a_device_token_is_no_access_token() -> None:
    device = DeviceToken(ME, UUID(int=5), NOW, SOON)
    text = make_device_token(device, KEY)

    assert read_device_token(text, KEYS, NOW) == device
    with pytest.raises(InvalidTokenError):
        read_access_token(text, KEYS, NOW)
    with pytest.raises(InvalidTokenError):
        read_device_token(make_access_token(TOKEN, KEY), KEYS, NOW)


def test_the_issuer_is_read_of_any_jwt_and_of_nothing_else() -> None:
    assert issuer_of(signed({"iss": "https://team.example"}, key=b"z" * 32)) == "https://team.example"
    for text in ("", "lcp_abc", "a.b.c", "\ud800", signed({"iss": None})):
        assert issuer_of(text) is None


def test_AUTH_7_an_opaque_token_says_what_it_is_for_and_is_stored_as_a_hash() -> None:
    token = make_opaque_token(Prefix.REFRESH, bytes(range(32)))

    assert token == "lcr_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert len(hash_token(token)) == 32
    assert hash_token(token) != hash_token(token + "x")
    assert len(hash_token("\ud800")) == 32
