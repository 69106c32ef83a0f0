"""BACKEND-1 to BACKEND-4: what a token of the team's own backend has to be."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from auth.backend_tokens import (
    BackendRules,
    BackendTokenError,
    KeySetError,
    PublicKeys,
    SharedSecret,
    UnknownKeyError,
    verify,
)
from persistence.records import Grant
from tests.unit.backend_signing import (
    BAD,
    EC_KEY,
    ED_KEY,
    GRAPH,
    ISSUER,
    JWKS,
    RSA_KEY,
    SECRET,
    UNKNOWN_KEY,
    claims,
    hmac_with_public_key,
    public,
    signed,
)

NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
RULES = BackendRules(ISSUER, "layercake", timedelta(days=1))
KEYS = SharedSecret(SECRET.encode())
PUBLIC_KEYS = PublicKeys.of(JWKS)


def test_BACKEND_1_a_token_says_who_comes_where_as_what_and_until_when() -> None:
    found = verify(signed(NOW), KEYS, RULES, NOW)
    assert (found.subject, found.name) == ("ada", "Ada")
    assert found.grant == Grant(GRAPH, "member")
    assert found.expires_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": ["elsewhere", "layercake"]},
        {"name": None},
        {"name": ""},
        {"name": "x" * 300},
        {"nbf": NOW, "iat": NOW},
        {"iat": NOW + timedelta(seconds=20)},
        {"exp": NOW + timedelta(days=1)},
        {"graph": str(GRAPH).upper()},
        {"more": {"than": "is read"}},
    ],
)
def test_BACKEND_1_what_may_differ(changed: dict[str, Any]) -> None:
    assert verify(signed(NOW, **changed), KEYS, RULES, NOW).grant == Grant(GRAPH, "member")


@pytest.mark.parametrize("name", BAD)
def test_BACKEND_2_a_bad_token_is_refused(name: str) -> None:
    with pytest.raises(BackendTokenError):
        verify(BAD[name](NOW), KEYS, RULES, NOW)


@pytest.mark.parametrize(
    ("kid", "key", "algorithm"), [("rsa", RSA_KEY, "RS256"), ("ec", EC_KEY, "ES256"), ("ed", ED_KEY, "EdDSA")]
)
def test_BACKEND_3_a_public_key_verifies_with_the_algorithm_of_its_type(kid: str, key: Any, algorithm: str) -> None:
    for named in (kid, None):
        assert verify(signed(NOW, key, algorithm, named), PUBLIC_KEYS, RULES, NOW).subject == "ada"


@pytest.mark.parametrize(
    "make",
    [
        hmac_with_public_key,
        lambda now: signed(now, SECRET, "HS256", "rsa"),
        lambda now: signed(now, RSA_KEY, "RS512", "rsa"),
        lambda now: signed(now, RSA_KEY, "PS256", "rsa"),
        lambda now: signed(now, RSA_KEY, "RS256", "ec"),
        lambda now: signed(now, UNKNOWN_KEY, "ES256", "ec"),
        lambda now: signed(now, UNKNOWN_KEY, "ES256"),
        BAD["alg none"],
        BAD["no token"],
    ],
)
def test_BACKEND_3_no_token_chooses_by_what_it_is_checked(make: Callable[[datetime], str]) -> None:
    with pytest.raises(BackendTokenError):
        verify(make(NOW), PUBLIC_KEYS, RULES, NOW)


def test_BACKEND_3_a_token_of_an_unknown_key_says_so() -> None:
    with pytest.raises(UnknownKeyError):
        verify(signed(NOW, EC_KEY, "ES256", "next"), PUBLIC_KEYS, RULES, NOW)


def test_BACKEND_3_of_a_key_set_only_what_can_verify_is_used() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    others = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"},
        {**public("encrypts", RSA_KEY), "use": "enc"},
        public("weak", weak),
        public("p384", ec.generate_private_key(ec.SECP384R1())),
        {**public("pss", RSA_KEY), "alg": "PS256"},
        {"kty": "RSA", "n": 1},
        {"kty": "later"},
        "no key",
    ]
    found = PublicKeys.of({"keys": [*others, public("ec", EC_KEY)]})
    assert [key.key_id for key in found.keys] == ["ec"]
    for document in ({"keys": others}, {"keys": []}, {"keys": {}}, {}, [], None):
        with pytest.raises(KeySetError):
            PublicKeys.of(document)


def test_BACKEND_2_times_are_those_of_whoever_checks() -> None:
    token = signed(NOW)
    with pytest.raises(BackendTokenError, match="expired"):
        verify(token, KEYS, RULES, NOW + timedelta(hours=1))
    assert claims(NOW)["exp"] > NOW
