"""HOC-13 and HOC-7: frames of the Hocuspocus dialect, and which of them is answered by a status."""

import pytest

from collab.dialects.questions import MAX_OPEN, Questions
from collab.dialects.unopened import Unopened
from collab.wire import hocuspocus, sync
from collab.wire.errors import MalformedError
from collab.wire.hocuspocus import Auth, Close, Stateless
from collab.wire.varuint import prefixed, varuint

SOUND = {
    b"\x00\x00\x01\x00": sync.Step1(b"\x00"),
    b"\x00\x01\x02\x00\x00": sync.Update(b"\x00\x00", is_answer=True),
    b"\x00\x02\x02\x00\x00": sync.Update(b"\x00\x00"),
    b"\x01\x01\x00": sync.Awareness(b"\x00"),
    b"\x02\x00\x05token": Auth("token", has_version=False),
    b"\x02\x00\x00\x054.8.0": Auth("", has_version=True),
    b"\x03": sync.QueryAwareness(),
    b"\x05\x02\xc3\xb6": Stateless("ö".encode()),
    b"\x07": Close(),
}


@pytest.mark.parametrize("address", [b"name", b"", b"n\0session", b"x" * 200])
@pytest.mark.parametrize("body", SOUND)
def test_HOC_1_a_frame_is_an_address_and_one_message(address: bytes, body: bytes) -> None:
    assert hocuspocus.read(prefixed(address) + body) == (address, SOUND[body])


@pytest.mark.parametrize("body", SOUND)
def test_HOC_13_less_or_more_than_one_message_is_malformed(body: bytes) -> None:
    frame = prefixed(b"name") + body
    for end in range(len(frame)):
        if (end, body) != (8, b"\x02\x00\x00\x054.8.0"):  # a token alone, as providers before 4 send it
            with pytest.raises(MalformedError):
                hocuspocus.read(frame[:end])
    with pytest.raises(MalformedError):
        hocuspocus.read(frame + b"\x00" * 2)


@pytest.mark.parametrize("kind", [4, 6, 8, 9, 10, 11, 102, 300])
def test_HOC_13_types_that_clients_do_not_send_are_malformed(kind: int) -> None:
    with pytest.raises(MalformedError, match=str(kind)):
        hocuspocus.read(prefixed(b"name") + varuint(kind) + b"\x00\x01\x00")


def test_HOC_13_addresses_and_tokens_are_bounded_text() -> None:
    for frame in (
        prefixed(b"x" * (hocuspocus.MAX_ADDRESS_BYTES + 1)) + b"\x07",
        prefixed(b"n") + b"\x02\x00" + prefixed(b"x" * hocuspocus.MAX_TOKEN_BYTES),
        prefixed(b"n") + b"\x02\x00" + prefixed(b"\xff"),
        prefixed(b"n") + b"\x05" + prefixed(b"\xc3"),
    ):
        with pytest.raises(MalformedError):
            hocuspocus.read(frame)


def test_HOC_1_a_name_ends_at_the_first_nul() -> None:
    assert hocuspocus.document_name(b"name") == "name"
    assert hocuspocus.document_name(b"name\0one\0two") == "name"
    assert hocuspocus.document_name(b"\0") == ""
    with pytest.raises(MalformedError):
        hocuspocus.document_name(b"\xff")


def test_HOC_1_what_is_sent_carries_the_address() -> None:
    address = prefixed(b"n\0s")
    sent = hocuspocus.authenticated(read_only=True)
    assert sent.addressed(address) == b"\x82\x0f\x03n\0s\x02\x02\x08readonly"
    assert sent.addressed(prefixed(b"other")) == b"\x82\x11\x05other\x02\x02\x08readonly"
    assert sent.addressed(address) == b"\x82\x0f\x03n\0s\x02\x02\x08readonly"
    assert hocuspocus.permission_denied("no").payload == b"\x02\x01\x02no"
    assert hocuspocus.close("end").payload == b"\x07\x03end"
    assert hocuspocus.stateless(b"x").payload == b"\x05\x01x"
    assert hocuspocus.PING == b"\x82\x01\x09"


def test_HOC_7_answers_belong_to_questions_in_order() -> None:
    questions = Questions()

    def answer() -> bool:
        is_counted_on = questions.is_counted_on
        questions.answer()
        return is_counted_on

    assert not answer(), "nobody asked"
    for is_counted_on in (True, False, True):
        questions.ask(is_counted_on=is_counted_on)
    assert [answer() for _ in range(4)] == [True, False, True, False]
    questions.ask(is_counted_on=False)
    questions.doubt()
    questions.ask(is_counted_on=True)
    assert answer(), "the client began anew"
    assert not answer()
    for is_counted_on in (True, False):
        questions.ask(is_counted_on=is_counted_on)
    questions.doubt()
    questions.ask(is_counted_on=False)
    assert [answer() for _ in range(2)] == [True, False], "a token alone takes nothing back"
    questions.ask(is_counted_on=True)
    assert [answer() for _ in range(2)] == [False, True], "what was asked after the token is answered"


def test_HOC_7_a_client_that_answers_nothing_is_bounded() -> None:
    questions = Questions()
    for _ in range(MAX_OPEN):
        questions.ask(is_counted_on=True)
    assert not questions.are_too_many
    questions.ask(is_counted_on=True)
    assert questions.are_too_many


def test_HOC_2_and_HOC_4_what_is_kept_is_in_order_and_bounded_apart_for_denied_documents() -> None:
    unopened = Unopened(limit_bytes=10, limit_messages=3)
    for frame in (b"1", b"22", b"333"):
        unopened.keep(b"a", frame)
    assert not unopened.is_over
    unopened.keep(b"b", b"4")
    assert unopened.is_over, "four messages"
    assert unopened.take(b"b") == [b"4"]
    unopened.deny(b"a")
    unopened.keep(b"a", b"dropped")
    unopened.keep(b"c", b"x" * 10)
    assert not unopened.is_over
    unopened.keep(b"c", b"x")
    assert unopened.is_over, "eleven bytes"
    assert len(unopened.take(b"c")) == 2
    unopened.decide(b"a")
    assert not unopened.forget_denied()
    assert unopened.take(b"a") == [b"1", b"22", b"333"]
    unopened.deny(b"d")
    assert unopened.forget_denied()
    assert not unopened
    assert unopened.take(b"never seen") == []
