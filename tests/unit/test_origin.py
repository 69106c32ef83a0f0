"""DOOR-2 and WEBSEC-1 to WEBSEC-3: which names a server answers to, and to which pages."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from pydantic import ValidationError

from collab.doorkeeper import Visitor
from server.origin import ForeignRequestError, Origin, OriginPolicy, check_open, is_loopback
from server.settings import Settings


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "app.localhost"])
def test_DOOR_2_loopback_names_and_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "example.com", "localhost.example.com", "0.0.0.0", "192.168.1.1", "127.0.0.1.nip.io"]
)
def test_DOOR_2_other_names_and_addresses(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", None),
        ("localhost:8000", "http://localhost:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("LOCALHOST:8000", None),
    ],
)
def test_DOOR_2_requests_of_this_machine_are_taken(host: str, origin: str | None) -> None:
    check_open(host, origin)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (None, None),
        ("", None),
        ("evil.example:8000", None),
        ("evil.example:8000", "http://evil.example:8000"),
        ("127.0.0.1:8000", "http://evil.example"),
        ("127.0.0.1:8000", "http://127.0.0.1:9000"),
        ("127.0.0.1:8000", "http://localhost:8000"),
        ("127.0.0.1:8000", "null"),
        ("127.0.0.1:8000", ""),
        ("[::1", None),
        ("127.0.0.1:8000", "http://[::1"),
        ("127.0.0.1@evil.example", None),
    ],
)
def test_DOOR_2_others_are_refused(host: str | None, origin: str | None) -> None:
    with pytest.raises(ForeignRequestError):
        check_open(host, origin)


PUBLIC = Origin.of("https://layercake.example")
POLICY = OriginPolicy(public=PUBLIC, pages=frozenset({Origin.of("https://app.example"), Origin.of("http://dev:3000")}))


def page(origin: str | None, host: str | None = "inner:8000", *, is_secure: bool = False) -> Visitor:
    return Visitor(host, origin, is_secure=is_secure, cookie="a session")


@pytest.mark.parametrize(
    "visitor",
    [
        page(None),
        page(None, None),
        page("http://inner:8000"),
        page("http://INNER:8000"),
        page("https://inner:8000", is_secure=True),
        page("https://inner", "inner", is_secure=True),
        page("https://inner:443", "inner", is_secure=True),
        page("https://inner", "inner:443", is_secure=True),
        page("http://[::1]:8000", "[::1]:8000"),
        page("https://layercake.example"),
        page("https://layercake.example:443", "127.0.0.1:8000"),
    ],
)
def test_WEBSEC_1_programs_and_our_own_pages_are_taken_with_their_cookies(visitor: Visitor) -> None:
    assert POLICY.check(visitor) == visitor


FOREIGN = [
    page("https://evil.example"),
    page("http://inner:8001"),
    page("https://inner:8000"),
    page("http://inner:8000", is_secure=True),
    page("http://inner"),
    page("http://layercake.example"),
    page("https://layercake.example.evil"),
    page("https://app.example.evil"),
    page("http://app.example"),
    page("https://app.example:444"),
    page("null"),
    page(""),
    page("", ""),
    page("http://", ""),
    page("http://", None),
    page("http://[::1"),
    page("http://inner:99999999"),
    page("http://a, http://a", "a, a"),
    page("http://inner:8000, http://inner:8000"),
]


@pytest.mark.parametrize("visitor", FOREIGN)
def test_WEBSEC_1_other_pages_are_refused(visitor: Visitor) -> None:
    with pytest.raises(ForeignRequestError):
        POLICY.check(visitor)


def test_WEBSEC_1_the_refusal_says_what_to_set() -> None:
    with pytest.raises(ForeignRequestError, match=r"LAYERCAKE_ALLOWED_ORIGINS.*LAYERCAKE_PUBLIC_URL"):
        POLICY.check(page("https://evil.example"))


def test_WEBSEC_1_a_harmless_request_may_come_from_anywhere_but_without_cookies() -> None:
    assert POLICY.check(page("https://evil.example"), is_harmless=True).cookie is None


@pytest.mark.parametrize("origin", ["https://app.example", "https://app.example:443", "http://dev:3000"])
def test_WEBSEC_3_a_page_that_is_allowed_is_taken_without_its_cookies(origin: str) -> None:
    assert POLICY.check(page(origin)) == replace(page(origin), cookie=None, is_foreign=True)


NAMED = OriginPolicy(public=PUBLIC, hosts=frozenset({"layercake.internal", "10.1.2.3"}))


@pytest.mark.parametrize(
    "host",
    [
        "layercake.internal",
        "LAYERCAKE.internal:8000",
        "10.1.2.3:8000",
        "layercake.example",
        "127.0.0.1:8000",
        "localhost",
    ],
)
def test_WEBSEC_2_names_that_are_answered_to(host: str) -> None:
    NAMED.check(page(None, host))
    NAMED.check(page(None, host), is_harmless=True)


@pytest.mark.parametrize(
    "host", [None, "", "evil.example", "layercake.internal.evil", "[::1", "layercake.internal, evil"]
)
def test_WEBSEC_2_other_names_are_refused(host: str | None) -> None:
    for is_harmless in (False, True):
        with pytest.raises(ForeignRequestError):
            NAMED.check(page(None, host), is_harmless=is_harmless)


def test_DOOR_2_an_open_server_keeps_its_rules() -> None:
    policy = OriginPolicy(is_open=True, pages=POLICY.pages)
    policy.check(page("http://127.0.0.1:8000", "127.0.0.1:8000"))
    for visitor in (page(None), page("https://app.example", "127.0.0.1:8000")):
        for is_harmless in (False, True):
            with pytest.raises(ForeignRequestError):
                policy.check(visitor, is_harmless=is_harmless)


@pytest.mark.parametrize(
    "url", ["layercake.example", "ftp://layercake.example", "https://", "https://a/b", "https://[::1"]
)
def test_WEBSEC_1_addresses_that_make_no_sense_are_refused(url: str) -> None:
    for changed in ({"public_url": url}, {"allowed_origins": f"https://good.example, {url}"}):
        with pytest.raises(ValidationError, match="write it like https://"):
            Settings.with_options(**changed)


def test_WEBSEC_1_lists_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCAKE_ALLOWED_ORIGINS", "https://app.example/, http://dev:3000")
    monkeypatch.setenv("LAYERCAKE_ALLOWED_HOSTS", "Layercake.internal,")
    monkeypatch.setenv("LAYERCAKE_TRUSTED_PROXIES", "10.0.0.0/8, ::1")
    settings = Settings()
    assert settings.allowed_origins == ("https://app.example", "http://dev:3000")
    assert settings.allowed_hosts == ("layercake.internal",)
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))
