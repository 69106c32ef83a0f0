"""Tokens as a team's backend signs them, right and wrong ones."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://ferries.example"
SECRET = "of thirty-two bytes or of more, as asked"
OTHER_SECRET = "of thirty-two bytes as well, but another"
GRAPH = UUID("01994f3c-5d2a-7b1e-8c4f-6a7b8c9d0e1f")
OTHER_GRAPH = UUID("01994f3c-5d2a-7b1e-8c4f-000000000000")

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
UNKNOWN_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_PEM = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public(kid: str, key: Any) -> dict[str, Any]:
    """The JWK of a private key's public half."""
    algorithms: dict[type, Any] = {
        rsa.RSAPublicKey: RSAAlgorithm,
        ec.EllipticCurvePublicKey: ECAlgorithm,
        ed25519.Ed25519PublicKey: OKPAlgorithm,
    }
    half = key.public_key()
    algorithm = next(found for kind, found in algorithms.items() if isinstance(half, kind))
    return {**algorithm.to_jwk(half, as_dict=True), "kid": kid}


JWKS = {"keys": [public("rsa", RSA_KEY), public("ec", EC_KEY), public("ed", ED_KEY)]}


def claims(now: datetime, **changed: Any) -> dict[str, Any]:
    """What a good token says; a change to None leaves the claim out."""
    said = {
        "iss": ISSUER,
        "aud": "layercake",
        "sub": "ada",
        "name": "Ada",
        "graph": str(GRAPH),
        "role": "member",
        "exp": now + timedelta(hours=1),
    }
    return {name: value for name, value in (said | changed).items() if value is not None}


def signed(now: datetime, key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **changed: Any) -> str:
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(claims(now, **changed), key, algorithm=algorithm, headers=headers)


def hmac_with_public_key(now: datetime) -> str:
    """The classic confusion: HS256 with the bytes of the public key as its secret, which PyJWT refuses to make."""
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "rsa"}, claims(now, exp=int((now + timedelta(hours=1)).timestamp()))]
    body = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(body, RSA_PEM)
    return (body + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


BAD: Mapping[str, Callable[[datetime], str]] = {
    "no token": lambda _: "constructor",
    "empty": lambda _: "",
    "wrong key": lambda now: signed(now, OTHER_SECRET),
    "alg none": lambda now: jwt.encode(claims(now), None, algorithm="none"),
    "HS256 with the public key": hmac_with_public_key,
    "HS512 with the secret": lambda now: signed(now, "x" * 24 + OTHER_SECRET, "HS512"),
    "another algorithm's key": lambda now: signed(now, RSA_KEY, "RS256", "rsa"),
    "expired": lambda now: signed(now, exp=now - timedelta(seconds=1)),
    "without expiry": lambda now: signed(now, exp=None),
    "expiry that is no number": lambda now: signed(now, exp="tomorrow"),
    "expiry that is no time": lambda now: signed(now, exp=1e300),
    "too long ahead": lambda now: signed(now, exp=now + timedelta(days=2)),
    "not yet valid": lambda now: signed(now, nbf=now + timedelta(minutes=5)),
    "issued in the future": lambda now: signed(now, iat=now + timedelta(minutes=5)),
    "wrong audience": lambda now: signed(now, aud="elsewhere"),
    "wrong audiences": lambda now: signed(now, aud=["elsewhere", "there"]),
    "without audience": lambda now: signed(now, aud=None),
    "wrong issuer": lambda now: signed(now, iss="https://ferries.example.evil"),
    "without issuer": lambda now: signed(now, iss=None),
    "without subject": lambda now: signed(now, sub=None),
    "empty subject": lambda now: signed(now, sub=""),
    "subject with a NUL": lambda now: signed(now, sub="a\0b"),
    "subject with half a surrogate pair": lambda now: signed(now, sub="\ud800"),
    "long subject": lambda now: signed(now, sub="ä" * 600),
    "name that is none": lambda now: signed(now, name=["Ada"]),
    "name with a line break": lambda now: signed(now, name="Ada\nKing"),
    "without role": lambda now: signed(now, role=None),
    "unknown role": lambda now: signed(now, role="owner"),
    "role none": lambda now: signed(now, role="none"),
    "without graph": lambda now: signed(now, graph=None),
    "graph that is no UUID": lambda now: signed(now, graph="x" * 36),
    "critical header": lambda now: jwt.encode(claims(now), SECRET, headers={"crit": ["exp"]}),
    "far too long": lambda now: signed(now, note="x" * 9_000),
}
"""Tokens that open nothing, made at a moment, for a server that knows SECRET."""


def now() -> datetime:
    return datetime.now(UTC)
