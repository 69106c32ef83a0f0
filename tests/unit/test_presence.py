"""PRES-1, PRES-3 to PRES-6: who is present, by whom it was said, and until when."""

import json
from dataclasses import replace
from uuid import UUID

import pytest

from auth.policy import Credential, Principal
from collab.presence import (
    MAX_CLOCK,
    MAX_ENTRIES,
    MAX_OWN_BYTES,
    MAX_OWN_CLIENTS,
    MAX_ROOM_BYTES,
    MAX_STATE_BYTES,
    REMEMBER_GONE_S,
    Presence,
    with_principal,
)
from collab.session import Session
from collab.wire.awareness import GONE, Entry, decode_awareness, encode_awareness
from collab.wire.errors import MalformedError
from tests.unit.test_hub import Deaf

ANN = Principal(UUID(int=2), "Ann", "person", Credential("session"))
BOB = Principal(UUID(int=3), "Bob", "agent", Credential("session"))
STATE = b'{"user":"a"}'
OTHER = b'{"user":"b"}'


def entry(client: int, clock: int, state: bytes = STATE) -> bytes:
    return encode_awareness([Entry(client, clock, state)])


def state_of(size: int) -> bytes:
    return b'{"x":"' + b"x" * (size - 8) + b'"}'


def session(principal: Principal = ANN) -> Session:
    return Session("s", principal, False, Deaf())


def clients(update: bytes | None) -> dict[int, Entry]:
    return {} if update is None else {e.client: e for e in decode_awareness(update, MAX_ENTRIES)}


def present(presence: Presence) -> dict[int, int]:
    """Clock by client id."""
    return {client: found.clock for client, found in clients(presence.everyone()).items()}


def user_of(presence: Presence, client: int) -> str:
    return str(json.loads(clients(presence.everyone())[client].state)["principal"]["name"])


def test_PRES_1_the_first_to_announce_an_id_owns_it() -> None:
    presence, owner, forger = Presence(), session(ANN), session(BOB)
    presence.announce(owner, entry(1, 1), now=0)
    presence.announce(forger, entry(1, 9, OTHER), now=0)
    presence.announce(forger, entry(1, 10, GONE), now=0)
    presence.announce(forger, entry(1, 11, b"no JSON"), now=0)
    assert present(presence) == {1: 1}
    assert user_of(presence, 1) == "Ann"


def test_PRES_1_only_a_newer_clock_or_a_goodbye_at_the_same_clock_is_news() -> None:
    presence, owner = Presence(), session()
    presence.announce(owner, entry(1, 5), now=0)
    presence.take_moved()
    presence.announce(owner, entry(1, 5, OTHER), now=0)
    presence.announce(owner, entry(1, 4, b"no JSON"), now=0)
    assert not presence.has_updates
    presence.announce(owner, entry(1, 6), now=0)
    assert presence.has_updates, "a renewal is echoed, or its client gives up"
    presence.announce(owner, entry(1, 6, GONE), now=0)
    assert presence.everyone() is None


def test_PRES_1_a_late_repetition_does_not_bring_a_client_back() -> None:
    presence, owner, other = Presence(), session(), session(BOB)
    presence.announce(owner, entry(1, 5), now=0)
    presence.leave(owner, now=0)
    for clock in (5, 6):  # its goodbye has the clock after its last
        presence.announce(other, entry(1, clock), now=1)
    presence.forget(now=REMEMBER_GONE_S)
    presence.announce(other, entry(1, 6), now=REMEMBER_GONE_S)
    assert present(presence) == {}
    presence.forget(now=REMEMBER_GONE_S + 1)
    presence.announce(other, entry(1, 6), now=REMEMBER_GONE_S + 1)
    assert present(presence) == {1: 6}


def test_PRES_1_a_client_that_announces_itself_late_is_taken() -> None:
    presence, owner = Presence(), session()
    presence.announce(owner, b"\x00", now=0, is_greeting=True)
    presence.announce(owner, entry(1, 0), now=9)
    assert present(presence) == {1: 0}


def test_PRES_1_of_one_id_twice_in_a_message_the_newer_state_stays() -> None:
    presence, owner = Presence(), session()
    presence.announce(owner, encode_awareness([Entry(1, 5, STATE), Entry(1, 3, OTHER)]), now=0)
    assert present(presence) == {1: 5}


GREETINGS = [(before, clock) for before in ("present", "half-open", "closed", "forgotten") for clock in (4, 5, 6, 9)]


@pytest.mark.parametrize(("before", "clock"), GREETINGS)
def test_PRES_3_a_greeting_is_taken_whatever_became_of_the_old_socket(before: str, clock: int) -> None:
    presence, old = Presence(), session()
    new = old if before == "present" else session()
    presence.announce(old, entry(1, 5, OTHER), now=0)
    if before in ("closed", "forgotten"):
        presence.leave(old, now=0)
    if before == "forgotten":
        presence.forget(now=REMEMBER_GONE_S + 1)
    told = presence.announce(new, entry(1, clock, STATE), now=90, is_greeting=True)
    expected = {"present": max(5, clock), "half-open": max(6, clock), "closed": max(7, clock), "forgotten": clock + 1}
    assert present(presence) == {1: expected[before]}
    corrected = clock if before == "present" else expected[before]
    assert told == ([] if corrected == clock else [Entry(1, corrected, STATE)]), "its own words, without the principal"
    presence.leave(new, now=91)
    assert present(presence) == {}


def test_PRES_3_a_greeting_with_a_state_that_everyone_has_only_changes_the_owner() -> None:
    presence, old, new = Presence(), session(), session()
    presence.announce(old, entry(1, 5), now=0)
    presence.take_moved()
    assert presence.announce(new, entry(1, 5), now=1, is_greeting=True) == []
    assert not presence.has_moved
    presence.leave(old, now=2)
    assert present(presence) == {1: 5}


def test_PRES_3_what_a_client_says_before_it_knows_its_new_clock_is_taken() -> None:
    presence, old, new = Presence(), session(), session()
    presence.announce(old, entry(1, 5), now=0)
    presence.leave(old, now=0)
    assert presence.announce(new, entry(1, 5), now=1, is_greeting=True) == [Entry(1, 7, STATE)]
    assert presence.announce(new, entry(1, 6, OTHER), now=1) == [Entry(1, 8, OTHER)], "it says 6 and has not heard of 7"
    assert presence.announce(new, entry(1, 6), now=1) == [], "6 is not newer than 6"
    assert presence.announce(new, entry(1, 8, OTHER), now=1) == [], "now it has heard, and repeats what it took over"
    assert presence.announce(new, entry(1, 9), now=1) == []
    assert present(presence) == {1: 9}


def test_PRES_3_a_goodbye_before_it_knows_its_new_clock_is_taken() -> None:
    presence, old, new = Presence(), session(), session()
    presence.announce(old, entry(1, 5), now=0)
    presence.leave(old, now=0)
    presence.announce(new, entry(1, 5), now=1, is_greeting=True)
    presence.announce(new, entry(1, 6, GONE), now=1)
    assert present(presence) == {}
    assert clients(presence.take_moved())[1] == Entry(1, 7, GONE), "everyone takes it: it is not older than the state"


@pytest.mark.parametrize("clock", [4, 5, 6, 9])
def test_PRES_4_nobody_takes_over_what_a_live_session_of_another_user_shows(clock: int) -> None:
    presence, owner, stranger = Presence(), session(ANN), session(BOB)
    presence.announce(owner, entry(1, 5), now=0)
    for state in (STATE, OTHER, GONE):
        assert presence.announce(stranger, entry(1, clock, state), now=1, is_greeting=True) == []
    presence.leave(stranger, now=2)
    assert present(presence) == {1: 5}
    assert user_of(presence, 1) == "Ann"


def test_PRES_4_the_old_socket_of_a_user_changes_nothing_any_more_and_takes_only_its_own_along() -> None:
    presence, old, new = Presence(), session(), session()
    presence.announce(old, encode_awareness([Entry(1, 5, STATE), Entry(2, 5, STATE)]), now=0)
    presence.announce(new, entry(1, 5), now=1, is_greeting=True)
    presence.announce(old, entry(1, 8, OTHER), now=2)
    presence.announce(old, entry(1, 9, GONE), now=2)
    assert present(presence) == {1: 5, 2: 5}
    presence.leave(old, now=3)
    assert present(presence) == {1: 5}
    presence.leave(new, now=4)
    assert present(presence) == {}


def test_PRES_4_a_greeting_removes_nobody_elses_presence() -> None:
    presence, owner, other_tab = Presence(), session(), session()
    presence.announce(owner, entry(1, 5), now=0)
    presence.announce(other_tab, entry(1, 6, GONE), now=1, is_greeting=True)
    assert present(presence) == {1: 5}


ANN_TOLD = b'"principal":{"id":"00000000-0000-0000-0000-000000000002","name":"Ann","kind":"person"}'


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (b"{}", b"{" + ANN_TOLD + b"}"),
        (b" \n{ \t} \r", b"{ \t" + ANN_TOLD + b"}"),
        (b'{"a":1}', b'{"a":1,' + ANN_TOLD + b"}"),
        (b'\t{"a":{"b":{}}} ', b'{"a":{"b":{}},' + ANN_TOLD + b"}"),
        (b'{"a":"}"}', b'{"a":"}",' + ANN_TOLD + b"}"),
        (b'{"a":"\\"}{"}', b'{"a":"\\"}{",' + ANN_TOLD + b"}"),
        (b'{"a":"\\ud83d"}', b'{"a":"\\ud83d",' + ANN_TOLD + b"}"),
        (b'{"principal":{"name":"Root"}}', b'{"principal":{"name":"Root"},' + ANN_TOLD + b"}"),
        (b'{"principal":1,"principal":2}', b'{"principal":1,"principal":2,' + ANN_TOLD + b"}"),
        (b'{"princ\\u0069pal":1}', b'{"princ\\u0069pal":1,' + ANN_TOLD + b"}"),
    ],
)
def test_PRES_5_the_principal_is_the_last_member_of_each_object(state: bytes, expected: bytes) -> None:
    presence = Presence()
    presence.announce(session(ANN), entry(1, 1, state), now=0)
    assert clients(presence.everyone())[1].state == expected
    assert json.loads(expected)["principal"] == {"id": str(ANN.id), "name": "Ann", "kind": "person"}


@pytest.mark.parametrize("state", [b'"{}"', b"[{}]", b" 7", b"true", b'"{"', b" null "])
def test_PRES_5_what_could_not_say_whose_it_is_is_left_out(state: bytes) -> None:
    presence, owner = Presence(), session(ANN)
    presence.announce(owner, encode_awareness([Entry(1, 1, state), Entry(2, 1, STATE)]), now=0)
    assert present(presence) == {2: 1}
    presence.announce(owner, entry(2, 2, state), now=0)
    assert present(presence) == {2: 1}


def test_PRES_5_names_are_spelt_as_JSON_stringify_spells_them() -> None:
    named = with_principal(b"{}", replace(BOB, name='Zoë "\\ 🎂'))
    assert json.loads(named)["principal"] == {"id": str(BOB.id), "name": 'Zoë "\\ 🎂', "kind": "agent"}
    assert 'Zoë \\"\\\\ 🎂'.encode() in named


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"", "ends early"),
        (b"\x01", "ends early"),
        (b"\x01\x01\x01\x05null", "are announced"),
        (b"\x00\x00", "bytes follow"),
        (entry(1, 1, b"{"), "not JSON"),
        (entry(1, 1, b"[" * 15_000), "not JSON"),
        (entry(1, 1, b"\xff"), "not JSON"),
        (entry(1, 1, b"NaN"), "not JSON"),
        (entry(1, 1, b'{"x":-Infinity}'), "not JSON"),
        (entry(1, 1, b'{"x":1}}'), "not JSON"),
        (entry(1, 1, '{"x":1}'.encode("utf-16")), "not JSON"),
        (entry(1, MAX_CLOCK + 1), "clock"),
        (entry(1, 1, state_of(MAX_STATE_BYTES + 1)), "16385 bytes, at most 16384"),
        (encode_awareness(Entry(client, 1, b"{}") for client in range(MAX_ENTRIES + 1)), "at most 10000"),
    ],
)
@pytest.mark.parametrize("is_greeting", [False, True])
def test_PRES_6_what_is_no_presence_is_refused_whole(bad: bytes, reason: str, is_greeting: bool) -> None:
    presence = Presence()
    with pytest.raises(MalformedError, match=reason):
        presence.announce(session(), bad, now=0, is_greeting=is_greeting)
    assert presence.everyone() is None


def test_PRES_6_nothing_of_a_message_is_taken_if_one_state_is_refused() -> None:
    presence = Presence()
    with pytest.raises(MalformedError):
        presence.announce(session(), encode_awareness([Entry(1, 1, STATE), Entry(2, 1, b"{")]), now=0)
    assert presence.everyone() is None


def test_PRES_6_the_bound_of_a_state_counts_without_the_principal() -> None:
    presence = Presence()
    presence.announce(session(), entry(1, MAX_CLOCK, state_of(MAX_STATE_BYTES)), now=0)
    assert len(clients(presence.everyone())[1].state) > MAX_STATE_BYTES


def test_PRES_6_a_room_shows_a_bounded_number_of_clients() -> None:
    presence = Presence()
    people = [session() for _ in range(MAX_ENTRIES + 10)]
    for client, person in enumerate(people):
        presence.announce(person, entry(client, 1), now=0)
    assert len(present(presence)) == MAX_ENTRIES


def test_PRES_6_those_who_left_take_nobodys_place() -> None:
    presence = Presence()
    for client in range(MAX_ENTRIES + 10):
        person = session()
        presence.announce(person, entry(client, 1), now=0)
        presence.leave(person, now=0)
    presence.announce(session(), entry(99_999, 1), now=0)
    assert present(presence) == {99_999: 1}
    assert len(clients(presence.everyone_and_gone())) == MAX_ENTRIES


def test_PRES_6_a_session_announces_a_bounded_number_of_clients_and_the_rest_is_left_out() -> None:
    presence, many = Presence(), session()
    told = encode_awareness(Entry(client, 1, STATE) for client in range(MAX_OWN_CLIENTS + 5))
    presence.announce(many, told, now=0)
    assert len(present(presence)) == MAX_OWN_CLIENTS
    presence.announce(many, entry(0, 2), now=0)
    assert present(presence)[0] == 2, "it can still change what it shows"
    presence.announce(session(), entry(99, 1), now=0)
    presence.leave(many, now=0)
    assert present(presence) == {99: 1}, "others are not kept out"


def test_PRES_6_the_presence_of_a_session_is_bounded_in_bytes() -> None:
    presence, many = Presence(), session()
    half, rest = state_of(MAX_STATE_BYTES), state_of(MAX_OWN_BYTES - MAX_STATE_BYTES - 8)
    presence.announce(many, encode_awareness([Entry(1, 1, half), Entry(2, 1, rest), Entry(3, 1, state_of(9))]), now=0)
    assert present(presence) == {1: 1, 2: 1}
    presence.announce(many, encode_awareness([Entry(1, 2, half), Entry(3, 1, state_of(8))]), now=0)
    assert present(presence) == {1: 2, 2: 1, 3: 1}, "it can still change what it shows, up to the bound"


def test_PRES_6_sixteen_sockets_leave_room_for_everyone_else() -> None:
    presence = Presence()
    for number in range(16):
        greedy = session(ANN)
        for client in range(number * 100, number * 100 + MAX_OWN_CLIENTS):
            presence.announce(greedy, entry(client, 1, state_of(MAX_STATE_BYTES)), now=0)
    everyone = [session(BOB) for _ in range(5_000)]
    for client, person in enumerate(everyone, 10_000):
        presence.announce(person, entry(client, 1), now=0)
    assert len([client for client in present(presence) if client >= 10_000]) == 5_000
    presence.announce(everyone[0], entry(10_000, 2, state_of(1_000)), now=0)
    assert present(presence)[10_000] == 2


def test_PRES_6_the_presence_of_a_room_is_bounded_in_bytes() -> None:
    presence = Presence()
    state = state_of(MAX_STATE_BYTES)
    people = [session() for _ in range(MAX_ROOM_BYTES // MAX_STATE_BYTES + 10)]
    for client, person in enumerate(people):
        presence.announce(person, entry(client, 1, state), now=0)
    assert len(present(presence)) == MAX_ROOM_BYTES // MAX_STATE_BYTES
    presence.leave(people[0], now=0)
    presence.announce(people[-1], entry(9_999, 1), now=0)
    assert 9_999 in present(presence)
