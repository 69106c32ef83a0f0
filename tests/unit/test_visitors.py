"""WEBSEC-4: which headers about the client are believed."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.visitors import ACCESS_COOKIE, HeaderValues, Visitors

PROXIED = Visitors((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
SPOOF = {"X-Forwarded-For": ["6.6.6.6"], "X-Forwarded-Proto": ["https"], "X-Forwarded-Host": ["evil.example"]}


def values_of(headers: Mapping[str, Sequence[str]]) -> HeaderValues:
    return lambda name: headers.get(name, [])


def address(peer: str, *forwarded: str) -> str:
    return PROXIED.address(values_of({"X-Forwarded-For": forwarded}), peer)


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::7", "", "no address", "11.0.0.1"])
def test_WEBSEC_4_nothing_is_believed_of_others(peer: str) -> None:
    visitor = PROXIED.visitor(values_of(SPOOF | {"Host": ["x"]}), peer)
    assert (visitor.address, visitor.host, visitor.is_secure) == (peer, "x", False)
    assert Visitors().visitor(values_of(SPOOF | {"Host": ["x"]}), "10.0.0.1").address == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ([], "10.0.0.1"),
        (["192.0.2.7"], "192.0.2.7"),
        (["6.6.6.6, 192.0.2.7"], "192.0.2.7"),
        (["6.6.6.6", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.0.0.3"], "192.0.2.7"),
        (["192.0.2.7", "10.0.0.3 ", " fd00::1"], "192.0.2.7"),
        (["10.0.0.3, 10.0.0.4"], "10.0.0.3"),
        (["192.0.2.7:4711"], "192.0.2.7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["6.6.6.6, ::ffff:10.0.0.3"], "6.6.6.6"),
        (["6.6.6.6, unknown"], "10.0.0.1"),
        (["6.6.6.6, unknown, 10.0.0.3"], "10.0.0.3"),
        ([""], "10.0.0.1"),
        ([",,,"], "10.0.0.1"),
        (["6.6.6.6,"], "10.0.0.1"),
        (["999.1.1.1"], "10.0.0.1"),
        (["[::1"], "10.0.0.1"),
        (["x" * 10_000], "10.0.0.1"),
    ],
)
def test_WEBSEC_4_the_client_is_the_right_most_that_is_no_proxy(forwarded: list[str], expected: str) -> None:
    assert address("10.0.0.1", *forwarded) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("::ffff:192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::1"), ("2001:DB8::7", "2001:db8::7")],
)
def test_WEBSEC_4_an_address_is_written_in_one_way(peer: str, expected: str) -> None:
    assert address(peer) == expected


def test_WEBSEC_4_a_proxy_that_comes_as_a_mapped_address_is_known() -> None:
    assert address("::ffff:10.0.0.1", "192.0.2.7") == "192.0.2.7"


@pytest.mark.parametrize(
    ("protocols", "is_secure"),
    [
        ([], False),
        (["https"], True),
        (["HTTPS"], True),
        (["wss"], True),
        (["http"], False),
        (["https, http"], False),
        (["http", "https"], True),
        (["gopher"], False),
    ],
)
def test_WEBSEC_4_how_the_client_came_is_what_the_nearest_proxy_says(protocols: list[str], is_secure: bool) -> None:
    assert PROXIED.visitor(values_of({"X-Forwarded-Proto": protocols}), "10.0.0.1").is_secure is is_secure


def test_WEBSEC_4_without_a_word_of_the_proxy_it_is_as_set() -> None:
    assert Visitors(PROXIED.proxies, is_secure=True).visitor(values_of({}), "10.0.0.1").is_secure
    says_http = values_of({"X-Forwarded-Proto": ["http"]})
    assert not Visitors(PROXIED.proxies, is_secure=True).visitor(says_http, "10.0.0.1").is_secure


def test_WEBSEC_4_the_name_is_the_one_that_the_client_asked_for() -> None:
    headers = {"Host": ["inner:8000"], "X-Forwarded-Host": ["elsewhere.example, layercake.example"]}
    assert PROXIED.visitor(values_of(headers), "10.0.0.1").host == "layercake.example"
    assert PROXIED.visitor(values_of({"Host": ["inner:8000"]}), "10.0.0.1").host == "inner:8000"


def test_WEBSEC_1_a_repeated_host_or_origin_is_none() -> None:
    visitor = PROXIED.visitor(values_of({"Host": ["a", "b"], "Origin": ["http://a", "http://a"]}), "192.0.2.7")
    assert (visitor.host, visitor.origin) == ("a, b", "http://a, http://a")


@pytest.mark.parametrize(
    ("cookies", "expected"),
    [
        ([], None),
        ([""], None),
        ([f"{ACCESS_COOKIE}=abc"], "abc"),
        ([f"other=1; {ACCESS_COOKIE}=a.b=c; more"], "a.b=c"),
        (["other=1", f"{ACCESS_COOKIE}=abc"], "abc"),
        ([f"{ACCESS_COOKIE}="], None),
        ([f"x{ACCESS_COOKIE}=abc"], None),
    ],
)
def test_WEBSEC_3_the_access_token_of_a_cookie(cookies: list[str], expected: str | None) -> None:
    assert PROXIED.visitor(values_of({"Cookie": cookies}), "192.0.2.7").cookie == expected


@given(st.lists(st.text(), max_size=4), st.text())
def test_WEBSEC_4_nothing_that_is_sent_breaks_it(forwarded: list[str], other: str) -> None:
    names = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Host", "Origin", "Cookie")
    for peer in ("10.0.0.1", other):
        assert PROXIED.visitor(lambda name: forwarded if name in names else [], peer).user_agent is None
