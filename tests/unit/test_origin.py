"""DOOR-2: what an open server takes, so that no page of another origin drives it."""

import pytest

from server.origin import ForeignRequestError, check_open, is_loopback


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
