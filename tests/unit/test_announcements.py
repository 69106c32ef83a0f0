"""PRES-2, PRES-3, PRES-7, PRES-9 to PRES-11: who hears of whom, and when."""

import orjson
import pytest
from pycrdt import Map

from collab.announcements import (
    MAX_PAUSE_S,
    MAX_WINDOW_S,
    PAUSE_PER_SESSION_S,
    QUESTION_PAUSE_S,
    TURN_BYTES,
    WINDOW_PER_SESSION_S,
)
from collab.presence import MAX_ENTRIES, MAX_STATE_BYTES, REMEMBER_GONE_S
from collab.wire.awareness import GONE, Entry, decode_awareness, encode_awareness
from tests.unit.rooms import Client, Stage

WINDOW_S = 0.05
BRIEF_S = 0.001


def shown(state: bytes) -> bytes:
    return state if state == GONE else b'{"shown":' + state + b"}"


def show(client: Client, clock: int, state: bytes = b'"here"', *, is_greeting: bool = False) -> None:
    """Announce a client id equal to the number of the client."""
    update = encode_awareness([Entry(client.number, clock, shown(state))])
    client.room.announcements.receive(client.session, update, client.clock.now, is_greeting=is_greeting)


def heard(client: Client) -> list[dict[int, bytes]]:
    """Read and return the presence that arrived since the last time, what is shown by client id, frame by frame."""
    client.read()
    frames, client.presence = client.presence, []
    return [{entry.client: _told(entry.state) for entry in decode_awareness(frame, MAX_ENTRIES)} for frame in frames]


def _told(state: bytes) -> bytes:
    return state if state == GONE else orjson.dumps(orjson.loads(state)["shown"])


def crowd(stage: Stage, people: int) -> list[Client]:
    clients = [stage.client() for _ in range(people)]
    for client in clients:
        show(client, 1)
    stage.calm(*clients)
    for client in clients:
        heard(client)
    return clients


def test_PRES_2_a_joiner_hears_of_everyone_and_everyone_of_it_at_once() -> None:
    stage = Stage()
    clients = crowd(stage, 5)
    joiner = stage.client()
    assert heard(joiner) == [{client.number: b'"here"' for client in clients}]
    show(joiner, 0, is_greeting=True)
    stage.clock.pass_time(0)
    for client in clients:
        assert heard(client) == [{joiner.number: b'"here"'}]
    assert heard(joiner) == 2 * [{joiner.number: b'"here"'}], "its new clock, with its own words, then as all hear it"


def test_PRES_2_a_goodbye_and_a_lost_socket_are_told_at_once() -> None:
    stage = Stage()
    first, second, stays = crowd(stage, 3)
    first.leave()
    stage.clock.pass_time(0)
    assert heard(stays) == [{first.number: GONE}]
    show(second, 2, GONE)
    stage.clock.pass_time(3 * PAUSE_PER_SESSION_S)
    assert heard(stays) == [{second.number: GONE}]


def test_PRES_2_many_that_leave_together_are_told_of_in_one_frame() -> None:
    stage = Stage()
    stays, *leaving = crowd(stage, 50)
    for client in leaving:
        client.leave()
    stage.clock.pass_time(0)
    assert len(heard(stays)) == 1


def test_PRES_2_a_storm_of_comings_and_goings_in_a_large_room_is_told_a_few_times_a_second() -> None:
    stage = Stage()
    clients = crowd(stage, 600)
    for client in clients[:100]:
        client.leave()
        stage.clock.pass_time(0.01)
    stage.clock.pass_time(MAX_PAUSE_S)
    frames = heard(clients[-1])
    assert len(frames) <= 2 + 1 / MAX_PAUSE_S
    assert {client: state for frame in frames for client, state in frame.items()} == {
        client.number: GONE for client in clients[:100]
    }


@pytest.mark.parametrize("people", [2, 100, 600])
def test_PRES_7_what_people_show_gathers_for_a_window_that_grows_with_the_room(people: int) -> None:
    stage = Stage()
    sender, other = crowd(stage, people)[:2]
    window_s = min(WINDOW_S + WINDOW_PER_SESSION_S * people, MAX_WINDOW_S)
    for clock in range(2, 50):
        show(sender, clock, b'{"x":%d}' % clock)
    stage.clock.pass_time(window_s - BRIEF_S)
    assert heard(other) == []
    stage.clock.pass_time(2 * BRIEF_S)
    for client in (sender, other):
        (frame,) = heard(client)
        assert frame[sender.number] == b'{"x":49}', "the sender hears its renewal, or it gives up"
    stage.clock.pass_time(1)
    assert heard(other) == []


def test_PRES_7_who_comes_does_not_wait_for_the_window_and_ends_none() -> None:
    stage = Stage()
    sender, other = crowd(stage, 2)
    show(sender, 2, b'"moved"')
    joiner = stage.client()
    show(joiner, 1)
    stage.clock.pass_time(0)
    assert heard(other) == [{joiner.number: b'"here"'}]
    stage.clock.pass_time(1)
    assert heard(other) == [{sender.number: b'"moved"'}]


def test_PRES_9_a_session_that_was_behind_hears_of_everyone_and_of_all_who_left_meanwhile() -> None:
    stage = Stage()
    slow, changes, leaves, says_goodbye = crowd(stage, 4)
    stage.room.fall_behind(slow.session)
    show(changes, 2, b'"moved"')
    leaves.leave()
    show(says_goodbye, 2, GONE)
    stage.calm(slow)
    assert heard(slow) == []
    stage.room.catch_up(slow.session)
    assert heard(slow) == [
        {slow.number: b'"here"', changes.number: b'"moved"', leaves.number: GONE, says_goodbye.number: GONE}
    ]


def test_PRES_9_those_who_left_are_told_of_for_a_minute() -> None:
    stage = Stage()
    slow, leaves = crowd(stage, 2)
    stage.room.fall_behind(slow.session)
    leaves.leave()
    stage.clock.pass_time(REMEMBER_GONE_S + 1)
    stage.room.announcements.forget(stage.clock.now)
    stage.room.catch_up(slow.session)
    assert heard(slow) == [{slow.number: b'"here"'}]


def test_PRES_9_a_reader_that_waited_for_a_commit_hears_who_left_meanwhile() -> None:
    stage = Stage()
    leaves = crowd(stage, 1)[0]
    leaves.doc.get("m", type=Map)["k"] = 1
    leaves.push()
    reader = stage.client(read_only=True)
    assert heard(reader) == [{leaves.number: b'"here"'}]
    leaves.leave()
    stage.clock.pass_time(1)
    assert heard(reader) == []
    stage.log.commit()
    assert heard(reader) == [{leaves.number: GONE}]


def test_PRES_10_an_edit_does_not_wait_behind_the_presence_of_a_large_room() -> None:
    stage = Stage()
    clients = crowd(stage, 20)
    writer, *others = clients
    large = b'"' + b"x" * (MAX_STATE_BYTES - len(shown(b'""'))) + b'"'
    for client in clients:
        show(client, 2, large)
    frame_bytes = len(clients) * MAX_STATE_BYTES
    sent_in = []

    def note(_now: float) -> None:
        sent_in.append(sum(any(message[:1] == b"\x01" for message in one.inbox) for one in clients))
        if len(sent_in) == 1:
            writer.doc.get("m", type=Map)["k"] = 1
            writer.push()
        if sent_in[-1] < len(clients):
            stage.clock.schedule(0.0, note)

    stage.clock.schedule(WINDOW_S + WINDOW_PER_SESSION_S * len(clients), note)
    stage.clock.pass_time(1)
    assert sent_in[0] <= 1 + TURN_BYTES // frame_bytes
    assert len(sent_in) >= len(clients) * frame_bytes // (TURN_BYTES + frame_bytes)
    last = others[-1] if others[-1].inbox[0][:1] == b"\x00" else others[0]
    assert [message[:1] for message in last.inbox] == [b"\x00", b"\x01"], "the edit came first"


def test_PRES_11_read_only_people_are_present_too() -> None:
    stage = Stage()
    writer, reader = stage.client(), stage.client(read_only=True)
    stage.calm(writer, reader)
    show(reader, 1)
    stage.clock.pass_time(0)
    assert heard(writer) == [{reader.number: b'"here"'}]


def test_PRES_3_when_somebody_comes_back_everyone_is_asked_to_announce_itself_anew() -> None:
    stage = Stage()
    one, behind = crowd(stage, 2)
    silent = stage.client()
    stage.room.fall_behind(behind.session)
    for _ in range(5):
        returning = stage.client()
        show(returning, 1, is_greeting=True)
        returning.leave()
        again = stage.client()
        update = encode_awareness([Entry(returning.number, 1, shown(b'"back"'))])
        stage.room.announcements.receive(again.session, update, stage.clock.now, is_greeting=True)
    stage.clock.pass_time(QUESTION_PAUSE_S - BRIEF_S)
    assert heard(one).count({one.number: GONE}) == 1, "the question: a client that is there says so"
    assert {silent.number: GONE} not in heard(silent)
    assert heard(behind) == []
    stage.room.catch_up(behind.session)
    assert heard(behind)[-1] == {behind.number: GONE}
    stage.room.fall_behind(behind.session)
    stage.room.catch_up(behind.session)
    assert {behind.number: GONE} not in heard(behind), "once is enough"


def test_PRES_3_nobody_is_asked_anything_when_a_new_client_comes() -> None:
    stage = Stage()
    clients = crowd(stage, 3)
    joiner = stage.client()
    show(joiner, 1, is_greeting=True)
    stage.calm(joiner, *clients)
    for client in (joiner, *clients):
        assert all(GONE not in frame.values() for frame in heard(client))
