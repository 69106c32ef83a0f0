"""ROOM-1 to ROOM-12 on a room whose log and clock are the test's."""

from typing import Any

import orjson
import pytest
from pycrdt import Doc, Map, Text

import collab.document
from collab.arrivals import WaitingFullError
from collab.document import MAX_CLIENTS, LiveDocument, PoisonedDocumentError
from collab.outbox import merge
from collab.room import BUSY_UPDATES, Limits
from collab.session import Behind
from collab.wire import sync
from collab.wire.errors import MalformedError, TooLargeError
from collab.wire.state_vector import encode_state_vector
from collab.wire.update import MAX_PIECES
from persistence.ports import Refusal
from tests.unit.documents import of_clients, with_gaps
from tests.unit.rooms import Client, Stage


def write(client: Client, key: str, value: object = "x") -> None:
    client.doc.get("map", type=Map)[key] = value


def content(client: Client) -> Any:
    return client.doc.get("map", type=Map).to_py()


def test_ROOM_2_the_first_change_after_quiet_leaves_at_once_and_not_to_its_author() -> None:
    stage = Stage()
    author, other = stage.client(), stage.client()
    author.read(), other.read()
    write(author, "a")
    author.push()
    assert content(other) is None or "a" not in content(other)
    assert [type(message) for message in other.read()] == [sync.Update]
    assert content(other) == {"a": "x"}
    assert author.read() == []


def test_ROOM_2_later_changes_are_merged_into_one_frame_a_window() -> None:
    stage = Stage()
    author, second, other = stage.client(), stage.client(), stage.client()
    for client in (author, second, other):
        client.read()
    write(author, "first")
    author.push()
    other.read()
    for number in range(20):
        write(author, f"a{number}")
        write(second, f"b{number}")
        author.push()
        second.push()
    assert other.read() == []
    stage.clock.pass_time(0.1)
    assert len(other.inbox) == 1
    stage.calm(author, second, other)
    assert content(author) == content(second) == content(other)
    assert len(content(other)) == 41


def test_ROOM_2_changes_gather_longer_while_many_come_and_no_longer_when_few_do() -> None:
    stage = Stage(Limits(window_s=0.005, busy_window_s=0.0125, window_per_session_s=0))
    author, other = stage.client(), stage.client()
    author.read(), other.read()

    def gathered_s(changes: int) -> float:
        """How long the last of `changes`, made now, takes to the other."""
        began = stage.clock.now
        for number in range(changes):
            write(author, f"{began} {number}")
            author.push()
        other.inbox.clear()
        while not other.inbox:
            stage.clock.pass_time(0.0005)
        return stage.clock.now - began

    stage.clock.pass_time(1)
    gathered_s(1 + BUSY_UPDATES)  # the first one left at once
    assert gathered_s(1) == pytest.approx(0.0125, abs=0.001)
    assert gathered_s(1) == pytest.approx(0.005, abs=0.001)


def test_ROOM_3_a_read_only_session_hears_of_a_change_only_after_its_commit() -> None:
    stage = Stage()
    author, reader = stage.client(), stage.client(read_only=True)
    stage.calm(author, reader)
    write(author, "a")
    author.push()
    stage.clock.pass_time(1)
    assert reader.read() == []
    late = stage.client(read_only=True)
    assert [type(message) for message in late.read()] == [sync.Step1], "its Step2 holds what is not committed"
    stage.log.commit()
    reader.read(), late.read()
    assert content(reader) == content(late) == {"a": "x"}


def test_ROOM_4_102_is_echoed_in_order_after_the_commit_of_what_its_session_sent_before() -> None:
    stage = Stage()
    author = stage.client()
    author.read()
    write(author, "a")
    author.push()
    author.ask_saved(b"one")
    write(author, "b")
    author.push()
    author.ask_saved(b"two")
    author.ask_saved(b"")
    assert author.read() == []
    stage.log.commit(1)
    author.read()
    assert author.echoes == [b"one"]
    stage.log.commit()
    author.read()
    assert author.echoes == [b"one", b"two", b""]


def test_ROOM_4_102_with_nothing_under_way_is_echoed_at_once() -> None:
    stage = Stage()
    author = stage.client()
    author.ask_saved(b"x" * 300)
    author.read()
    assert author.echoes == [b"x" * 300]


def test_ROOM_4_a_repeated_update_is_acknowledged_only_with_the_first_copy() -> None:
    stage = Stage()
    author, again = stage.client(), stage.client()
    write(author, "a")
    [update] = author.take_edits()
    author.push(update)
    again.push(update)
    again.ask_saved(b"mine too")
    again.read()
    assert again.echoes == []
    stage.log.commit()
    again.read()
    assert again.echoes == [b"mine too"]


def test_ROOM_4_a_pure_delete_is_acknowledged_only_after_its_commit() -> None:
    stage = Stage()
    author = stage.client()
    write(author, "a")
    author.push()
    stage.calm(author)
    del author.doc.get("map", type=Map)["a"]
    author.push()
    author.ask_saved(b"gone")
    author.read()
    assert author.echoes == []
    stage.log.commit()
    author.read()
    assert author.echoes == [b"gone"]
    assert stage.log.stored[-1].vector_clock == "{}"
    assert stage.log.stored[-1].client_id == str(author.doc.client_id)


def test_ROOM_5_an_update_before_the_one_it_needs_waits_and_its_client_is_asked_for_more() -> None:
    stage = Stage()
    author = stage.client()
    author.read()
    write(author, "a", "first")
    write(author, "a", "second")
    author.push(author.take_edits()[1])
    author.ask_saved(b"both")
    stage.log.commit()
    assert stage.log.stored[0].applied_at is None
    assert [frame[:2] for frame in author.inbox] == [b"\x00\x00"], "a Step1, and no acknowledgement"


def test_ROOM_5_an_update_with_a_gap_is_taken_apart_and_waits_in_part() -> None:
    stage = Stage()
    author, other = stage.client(), stage.client()
    author.read(), other.read()
    for key in "abcd":
        write(author, key)
    first, second, third, fourth = author.take_edits()
    author.push(merge([first, third, fourth]))
    author.ask_saved(b"all")
    stage.log.commit()
    author.inbox.clear()
    assert stage.room.document.state_vector == {author.doc.client_id: 1}
    other.push(second)
    assert stage.room.document.state_vector == {author.doc.client_id: 4}
    stage.calm(author, other)
    assert author.echoes == [b"all"]
    assert content(other) == dict.fromkeys("abcd", "x")


def test_WIRE_7_an_update_falls_into_a_bounded_number_of_pieces_unless_it_is_stored() -> None:
    stage = Stage()
    client = stage.client()
    client.push(with_gaps(MAX_PIECES - 1))
    assert len(stage.room.document.state_vector) == MAX_PIECES - 1
    with pytest.raises(MalformedError, match="101 pieces; at most 100"):
        client.push(with_gaps(MAX_PIECES, first=200_000))
    assert len(stage.room.document.state_vector) == len(stage.log.held) == MAX_PIECES - 1, "nothing of it is taken"
    stored = Stage(stored=(with_gaps(MAX_PIECES, first=200_000),))
    assert len(stored.room.document.state_vector) == MAX_PIECES


def test_ROOM_5_whoever_sends_a_waiting_update_again_is_not_told_it_is_saved_either() -> None:
    stage = Stage()
    author, again, third = stage.client(), stage.client(), stage.client()
    write(author, "a")
    write(author, "b")
    first, second = author.take_edits()
    author.push(second)
    again.push(second)
    again.push(second)
    again.ask_saved(b"mine")
    stage.log.commit()
    assert again.echoes == []
    third.push(first)
    stage.calm(author, again, third)
    assert again.echoes == [b"mine"]
    assert len(stage.log.stored) == 2


def test_ROOM_2_the_author_of_what_sets_others_free_hears_of_what_was_freed() -> None:
    stage = Stage()
    author, helper = stage.client(), stage.client()
    author.read(), helper.read()
    for key in "abc":
        write(author, key)
    first, second, third = author.take_edits()
    author.push(third)
    author.inbox.clear()
    helper.doc.apply_update(first)
    helper.take_edits()
    helper.push(first)
    helper.push(second)
    stage.clock.pass_time(1)
    helper.read()
    assert content(helper) == dict.fromkeys("abc", "x")


def test_ROOM_8_a_read_only_session_that_falls_behind_while_a_commit_waits_misses_nothing() -> None:
    stage = Stage()
    author, reader = stage.client(), stage.client(read_only=True)
    stage.calm(author, reader)
    write(author, "a")
    author.push()
    stage.clock.pass_time(1)
    stage.room.fall_behind(reader.session)
    stage.log.commit()
    stage.room.catch_up(reader.session)
    reader.read()
    assert content(reader) == {"a": "x"}
    joiner = stage.client(read_only=True)
    write(author, "b")
    author.push()
    stage.room.answer_step1(joiner.session, joiner.doc.get_state())
    stage.room.fall_behind(joiner.session)
    stage.log.commit()
    stage.room.catch_up(joiner.session)
    stage.calm(joiner)
    assert content(joiner) == {"a": "x", "b": "x"}


def test_waiting_updates_cost_no_time_to_those_they_do_not_wait_for() -> None:
    stage = Stage()
    author, other = stage.client(), stage.client()
    for number in range(6_000):
        write(author, f"k{number % 7}")
    waiting = author.take_edits()[1:]
    author.push(*waiting)
    looked_at = 0
    missing = stage.room.document.missing

    def count(shape: Any) -> Any:
        nonlocal looked_at
        looked_at += 1
        return missing(shape)

    stage.room.document.missing = count  # type: ignore[method-assign]
    for _ in range(10):
        write(other, "mine")
        other.push()
    assert looked_at == 10


def test_ROOM_5_both_are_committed_before_the_echo() -> None:
    stage = Stage()
    author, other = stage.client(), stage.client()
    author.read(), other.read()
    write(author, "a", "first")
    write(author, "b", "second")
    first, second = author.take_edits()
    author.push(second)
    author.ask_saved(b"both")
    stage.log.commit()
    author.inbox.clear()
    assert author.echoes == []
    other.push(first)
    author.read()
    assert author.echoes == [], "the first is not committed"
    stage.log.commit()
    author.read()
    assert author.echoes == [b"both"]
    assert stage.log.stored[1].settles == (second,)
    stage.calm(author, other)
    assert content(other) == {"a": "first", "b": "second"}


def test_ROOM_5_an_update_that_waited_through_a_restart_joins_when_its_turn_comes() -> None:
    author = Stage().client()
    write(author, "a", "first")
    write(author, "b", "second")
    first, second = author.take_edits()
    stage = Stage(stored=(second,))
    late = stage.client()
    late.push(first)
    assert stage.log.held[0][0].settles == (second,)
    stage.calm(late)
    reader = stage.client()
    stage.calm(reader)
    assert content(reader) == {"a": "first", "b": "second"}


def test_ROOM_6_what_is_known_is_not_stored_again() -> None:
    stage = Stage()
    author, other = stage.client(), stage.client()
    write(author, "a")
    [update] = author.take_edits()
    author.push(update, update)
    other.push(update)
    stage.calm(author, other)
    stage.client()
    stage.calm()
    assert len(stage.log.stored) == 1


def test_ROOM_7_what_a_read_only_session_would_change_is_refused() -> None:
    stage = Stage()
    viewer, other = stage.client(read_only=True), stage.client()
    stage.calm(viewer, other)
    assert viewer.denials == 0, "answering a Step1 with nothing new is no attempt to write"
    write(viewer, "a")
    viewer.push()
    stage.calm(viewer, other)
    assert viewer.denials == 1
    assert stage.log.stored == []
    assert content(other) in (None, {})


def test_ROOM_7_a_deletion_is_refused_too_unless_it_is_known() -> None:
    """State vectors do not show deletions, so the ranges themselves are compared."""
    stage = Stage()
    viewer, other = stage.client(read_only=True), stage.client()
    write(other, "a")
    write(other, "b")
    other.push()
    stage.calm(viewer, other)
    del viewer.doc.get("map", type=Map)["a"]
    [deletion] = viewer.take_edits()
    viewer.push(deletion)
    assert viewer.denials == 1
    other.push(deletion)
    viewer.push(deletion, viewer.doc.get_update())
    assert viewer.denials == 1
    del viewer.doc.get("map", type=Map)["b"]
    viewer.push(viewer.doc.get_update())
    assert viewer.denials == 2


def test_ROOM_7_deletions_are_compared_without_encoding_the_document_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    viewer, other = stage.client(read_only=True), stage.client()
    for key in "abc":
        write(other, key)
    del other.doc.get("map", type=Map)["b"]
    other.push()
    stage.calm(viewer, other)
    encoded: list[object] = []
    difference = LiveDocument.difference
    monkeypatch.setattr(LiveDocument, "difference", lambda *known: encoded.append(known) or difference(*known))
    own = viewer.doc.get_update(viewer.doc.get_state())
    viewer.push(own, own, own)
    assert (viewer.denials, len(encoded)) == (0, 1)
    del other.doc.get("map", type=Map)["c"]
    [deletion] = other.take_edits()
    viewer.push(deletion)
    other.push(deletion)
    viewer.push(deletion, own)
    assert (viewer.denials, len(encoded)) == (1, 2), "once more after an edit"


def test_ROOM_8_a_slow_session_is_queued_nothing_and_catches_up_with_one_difference() -> None:
    stage = Stage()
    author, slow = stage.client(), stage.client()
    stage.calm(author, slow)
    text = author.doc.get("text", type=Text)
    text += "before"
    author.push()
    text += " and"
    author.push()
    stage.room.fall_behind(slow.session)
    for number in range(500):
        text += f" {number}"
        author.push()
    del text[0:10]
    author.push()
    stage.clock.pass_time(1)
    assert len(slow.inbox) == 1, "only what was under way before"
    stage.room.catch_up(slow.session)
    assert len(slow.inbox) == 2
    slow.read()
    assert slow.doc.get_update() == author.doc.get_update()


def test_ROOM_8_a_session_that_falls_behind_before_it_asked_gets_everything() -> None:
    stage = Stage()
    author = stage.client()
    write(author, "a")
    author.push()
    joiner = Client(99, stage.room, stage.clock)
    stage.room.join(joiner.session)
    stage.room.ask(joiner.session)
    stage.room.announcements.tell_missed(joiner.session)
    stage.room.fall_behind(joiner.session)
    stage.room.answer_step1(joiner.session, joiner.doc.get_state())
    assert [frame[:2] for frame in joiner.inbox] == [b"\x00\x00"]
    stage.room.catch_up(joiner.session)
    joiner.read()
    assert content(joiner) == {"a": "x"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ROOM_11_a_panic_inside_yrs_is_an_error_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    author = stage.client()
    write(author, "a")

    class Panic(BaseException):
        """As pyo3's PanicException is."""

    def panic(_doc: Doc[Any], _update: bytes) -> None:
        raise Panic

    monkeypatch.setattr(collab.document, "apply_update", panic)
    with pytest.raises(PoisonedDocumentError):
        author.push()
    assert not stage.log.held


def test_ROOM_12_too_much_that_waits_is_refused() -> None:
    stage = Stage(Limits(waiting_bytes=200))
    author, bystander = stage.client(), stage.client()
    write(author, "missing")
    for number in range(20):
        write(author, f"k{number}", "y" * 20)
    waiting = author.take_edits()[1:]
    with pytest.raises(WaitingFullError):
        author.push(*waiting)
    write(bystander, "others go on")
    bystander.push()
    assert len(stage.log.held) < 20


def test_LIMIT_6_a_document_takes_in_clients_up_to_a_bound_and_whatever_it_knows() -> None:
    stage = Stage(stored=(of_clients(MAX_CLIENTS - 1),))
    last, late = stage.client(), stage.client()
    write(last, "a")
    write(late, "b")
    last.push()
    with pytest.raises(TooLargeError, match=f"a document of {MAX_CLIENTS + 1} clients; at most {MAX_CLIENTS}"):
        late.push()
    assert len(stage.room.document.state_vector) == MAX_CLIENTS
    write(last, "a", "those who are in it go on")
    last.push(of_clients(MAX_CLIENTS - 1), *last.take_edits())
    reader = stage.client(read_only=True)
    stage.calm(reader)
    assert content(reader)["a"] == "those who are in it go on"


def test_LIMIT_6_a_state_vector_has_at_most_as_many_clients_as_a_document() -> None:
    stage = Stage()
    reader = stage.client()
    too_many = dict.fromkeys(range(MAX_CLIENTS + 1), 1)
    with pytest.raises(TooLargeError, match=f"a state vector of {MAX_CLIENTS + 1} clients; at most {MAX_CLIENTS}"):
        stage.room.answer_step1(reader.session, encode_state_vector(too_many))
    stored = Stage(stored=(of_clients(MAX_CLIENTS, first=0), of_clients(1, first=MAX_CLIENTS)))
    stored.client().room.answer_step1(reader.session, encode_state_vector(too_many))


def test_LIMIT_6_of_a_state_vector_only_what_the_document_has_is_kept() -> None:
    stage = Stage()
    author, reader = stage.client(), stage.client()
    write(author, "a")
    author.push()
    stage.room.fall_behind(reader.session)
    stage.room.answer_step1(reader.session, encode_state_vector({author.doc.client_id: 2**40, 5: 1}))
    assert reader.session.reading == Behind({author.doc.client_id: 1})


def test_the_log_row_names_clock_client_session_and_person() -> None:
    stage = Stage()
    author = stage.client()
    write(author, "a")
    author.push()
    [(operation, _)] = stage.log.held
    assert orjson.loads(operation.vector_clock) == {str(author.doc.client_id): 1}
    assert operation.client_id == str(author.doc.client_id)
    assert (operation.session_id, operation.user_id) == (author.session.id, author.session.user_id)
    assert operation.applied_at == operation.created_at


def test_a_deleted_graph_closes_everyone_with_4404() -> None:
    stage = Stage()
    author = stage.client()
    write(author, "a")
    author.push()
    _, listener = stage.log.held.popleft()
    listener.refused(1, Refusal.GONE)
    assert author.closed is not None
    assert author.closed[0] == 4404
    assert stage.room.is_settled


def test_a_scratch_document_equals_what_a_joiner_gets() -> None:
    stage = Stage()
    author = stage.client()
    for number in range(50):
        write(author, f"k{number}", {"n": number})
    author.push()
    joiner = stage.client()
    stage.calm(author, joiner)
    scratch: Doc[Any] = Doc()
    for operation in stage.log.stored:
        scratch.apply_update(operation.update)
    assert scratch.get_update() == joiner.doc.get_update()
