"""ROOM-9 and ROOM-10: who is present, by whom it was said, and until when."""

import pytest

from collab.presence import (
    MAX_CLOCK,
    MAX_ENTRIES,
    MAX_OWN_CLIENTS,
    MAX_ROOM_BYTES,
    MAX_STATE_BYTES,
    REMEMBER_GONE_S,
    Presence,
)
from collab.wire.awareness import GONE, Entry, decode_awareness, encode_awareness
from collab.wire.errors import MalformedError
from tests.unit.rooms import Stage


def entry(client: int, clock: int, state: bytes = b'{"user":"a"}') -> bytes:
    return encode_awareness([Entry(client, clock, state)])


def clients(update: bytes | None) -> dict[int, bytes]:
    return {} if update is None else {e.client: e.state for e in decode_awareness(update, MAX_ENTRIES)}


def test_ROOM_9_the_first_to_announce_an_id_owns_it() -> None:
    presence = Presence()
    assert presence.announce("a", entry(1, 1), now=0)
    assert not presence.announce("b", entry(1, 9, b'{"user":"forged"}'), now=0)
    assert not presence.announce("b", entry(1, 10, GONE), now=0)
    assert clients(presence.everyone()) == {1: b'{"user":"a"}'}


def test_ROOM_9_only_a_newer_clock_or_a_goodbye_at_the_same_clock_is_news() -> None:
    presence = Presence()
    presence.announce("a", entry(1, 5), now=0)
    assert not presence.announce("a", entry(1, 5, b'{"user":"b"}'), now=0)
    assert not presence.announce("a", entry(1, 4), now=0)
    assert presence.announce("a", entry(1, 6), now=0), "a renewal is echoed, or its client gives up"
    assert presence.announce("a", entry(1, 6, GONE), now=0)
    assert presence.everyone() is None


def test_ROOM_9_a_late_repetition_does_not_bring_a_client_back() -> None:
    presence = Presence()
    presence.announce("a", entry(1, 5), now=0)
    presence.leave("a", now=0)
    assert not presence.announce("b", entry(1, 5), now=1)
    assert not presence.announce("b", entry(1, 6), now=1), "its goodbye has the clock after its last"
    presence.forget(now=REMEMBER_GONE_S + 1)
    assert presence.announce("b", entry(1, 6), now=REMEMBER_GONE_S + 1)


def test_ROOM_10_changes_are_collapsed_until_they_are_taken() -> None:
    presence = Presence()
    for clock in range(1, 50):
        presence.announce("a", entry(1, clock, b'{"x":%d}' % clock), now=0)
    presence.announce("b", entry(2, 1), now=0)
    assert clients(presence.take_changes()) == {1: b'{"x":49}', 2: b'{"user":"a"}'}
    assert presence.take_changes() is None
    presence.leave("a", now=0)
    assert clients(presence.take_changes()) == {1: GONE}


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x01",
        b"\x01\x01\x01\x05null",
        b"\x00\x00",
        entry(1, 1, b"{"),
        entry(1, 1, b"[" * 50_000),
        entry(1, 1, b"\xff"),
        entry(1, 1, b"NaN"),
        entry(1, 1, b'{"x":-Infinity}'),
        entry(1, 1, '{"x":1}'.encode("utf-16")),
        entry(1, MAX_CLOCK + 1),
        entry(1, 1, b'"' + b"x" * MAX_STATE_BYTES + b'"'),
        encode_awareness(Entry(client, 1, b"{}") for client in range(MAX_ENTRIES + 1)),
    ],
)
def test_ROOM_9_what_is_no_presence_is_refused_whole(bad: bytes) -> None:
    presence = Presence()
    with pytest.raises(MalformedError):
        presence.announce("a", bad, now=0)
    assert presence.everyone() is None


def test_ROOM_9_a_room_remembers_a_bounded_number_of_clients() -> None:
    presence = Presence()
    for client in range(MAX_ENTRIES + 10):
        presence.announce(client, entry(client, 1), now=0)
    assert len(clients(presence.everyone())) == MAX_ENTRIES


def test_ROOM_9_a_session_announces_a_bounded_number_of_clients() -> None:
    presence = Presence()
    for client in range(MAX_OWN_CLIENTS + 5):
        presence.announce("a", entry(client, 1), now=0)
    assert len(clients(presence.everyone())) == MAX_OWN_CLIENTS
    assert presence.announce("b", entry(99, 1), now=0), "others are not kept out"
    presence.leave("a", now=0)
    assert clients(presence.everyone()) == {99: b'{"user":"a"}'}


def test_ROOM_9_the_presence_of_a_room_is_bounded_in_bytes() -> None:
    presence = Presence()
    state = b'"' + b"x" * (MAX_STATE_BYTES - 2) + b'"'
    for client in range(MAX_ROOM_BYTES // MAX_STATE_BYTES + 10):
        presence.announce(client, entry(client, 1, state), now=0)
    assert len(clients(presence.everyone())) == MAX_ROOM_BYTES // MAX_STATE_BYTES
    presence.leave(0, now=0)
    assert presence.announce("next", entry(9_999, 1), now=0)


def test_ROOM_10_many_that_leave_together_are_told_of_in_one_frame() -> None:
    stage = Stage()
    stays, *leaving = [stage.client() for _ in range(50)]
    for number, client in enumerate(leaving):
        stage.room.receive_presence(client.session, entry(number, 1), stage.clock.now)
    stage.calm(stays)
    for client in leaving:
        client.leave()
    stage.clock.pass_time(0)
    assert len(stays.inbox) == 1


def test_ROOM_10_a_joiner_hears_of_everyone_and_others_of_a_leave_at_once() -> None:
    stage = Stage()
    first = stage.client()
    stage.room.receive_presence(first.session, entry(1, 1), stage.clock.now)
    stage.calm(first)
    assert clients(first.presence[-1]) == {1: b'{"user":"a"}'}, "the sender hears it too"
    second = stage.client()
    second.read()
    assert clients(second.presence[0]) == {1: b'{"user":"a"}'}
    first.leave()
    stage.clock.pass_time(0)
    second.read()
    assert clients(second.presence[-1]) == {1: GONE}
