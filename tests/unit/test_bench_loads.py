"""The load generators say what they claim to say."""

from itertools import islice
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from bench.agents import UPDATE_BYTES, nodes, texts
from bench.crash_load import Record
from bench.crowd import Person
from bench.dialects import Address, Dialect, length_prefixed
from bench.sockets import Inbox, frame
from bench.strokes import STROKE, strokes_of
from collab.wire.awareness import Entry, decode_awareness, encode_awareness
from collab.wire.update import walk
from tests.clients import frames


def test_agents_push_texts_that_grow() -> None:
    doc: Doc[Any] = Doc()
    for update in islice(texts(3), 3):
        assert UPDATE_BYTES <= len(update) <= UPDATE_BYTES + 100
        walk(update)
        doc.apply_update(update)
    assert str(doc.get("agent 3", type=Text)) == "x" * 3 * UPDATE_BYTES


def test_agents_push_nodes_that_are_all_new() -> None:
    doc: Doc[Any] = Doc()
    pushed = [*islice(nodes(0), 2), *islice(nodes(7), 2)]
    for update in pushed:
        assert abs(len(update) - UPDATE_BYTES) < UPDATE_BYTES / 20
        doc.apply_update(update)
    found = doc.get("nodes", type=Map).to_py()
    assert len(found) == 4 * len({key.rpartition("-")[2] for key in found})
    assert len({key.partition("-")[0] for key in found}) == 4


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_are_found_wherever_the_stream_is_cut(size: int) -> None:
    message = bytes(size)
    masked = frame(message)
    stream = _as_the_server_sends(masked, size) * 2
    inbox = Inbox()
    pieces = (stream[:1], stream[1:5], stream[5:])
    assert [found for piece in pieces for found in inbox.take(piece)] == [message, message]


def _as_the_server_sends(masked: bytes, size: int) -> bytes:
    """Without mask: the key of zeros goes, and so does its flag."""
    head = len(masked) - size - 4
    return bytes((masked[0], masked[1] & 0x7F)) + masked[2:head] + masked[head + 4 :]


@pytest.mark.parametrize("dialect", Dialect)
def test_a_message_is_read_back(dialect: Dialect) -> None:
    address = Address("ws://127.0.0.1/", "a document", dialect)
    kind, rest = address.read(address.update(b"\x00\x00"))
    assert (kind, rest[0], length_prefixed(rest[1:])) == (frames.SYNC, frames.UPDATE, b"\x00\x00")


def test_strokes_are_found_in_what_clients_send() -> None:
    updates = strokes_of(1, range(5, 8))
    assert [int(match[1]) for update in updates for match in STROKE.finditer(update)] == [5, 6, 7]


def test_a_person_repeats_what_is_new_and_nothing_of_its_own() -> None:
    person = Person(1, line=None)  # type: ignore[arg-type]
    heard = encode_awareness([Entry(1, 9, b"{}"), Entry(2, 1, b"{}"), Entry(3, 1, b"{}")])
    assert decode_awareness(person.repeated(heard) or b"", 10) == [Entry(2, 1, b"{}"), Entry(3, 1, b"{}")]
    assert person.repeated(heard) is None
    mixed = encode_awareness([Entry(2, 2, b"null"), Entry(3, 2, b"{}"), Entry(4, 1, b"{}")])
    assert decode_awareness(person.repeated(mixed) or b"", 10) == [
        Entry(4, 1, b"{}"),
        Entry(3, 2, b"{}"),
        Entry(2, 2, b"null"),
    ]
    assert person.repeated(news := encode_awareness([Entry(5, 1, b"{}")])) == news


def test_an_acknowledged_update_is_missing_if_the_document_lacks_it() -> None:
    record = Record(client_id=7)
    keys = [record.made(0, present=True), record.made(1, present=True), record.made(0, present=False)]
    record.made(2, present=True)
    record.acknowledge(3)
    assert record.missing({7: 2}, {keys[1]}) == 0
    assert record.missing({7: 2}, keys[:2]) == 1, "the deletion"
    assert record.missing({7: 1}, ()) == 1, "an insertion"
    assert record.missing({}, ()) == 3, "both insertions, and the deletion of one of them"


def test_a_relayed_update_acknowledges_those_before_it() -> None:
    record = Record(client_id=7)
    record.made(0, present=True)
    record.made(0, present=False)
    record.relayed(0, present=False)
    assert record.acknowledged == 2
