"""What arrived is known by clocks, whatever the content, the dialect and the frames."""

import pytest
from pycrdt import Doc, Map, Text, merge_updates

from bench.arrivals import Arrived, Reader, Received, Sent, arrived
from bench.dialects import SYNC_STATUS, Address, Dialect
from bench.traffic import FIRST_AUTHOR, Written, base_graph, founded, written
from tests.clients import frames


def _served(message: bytes) -> bytes:
    """One frame of a server: without mask."""
    size = len(message)
    length = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return b"\x82" + length + message


def _received(pieces: list[bytes]) -> Received:
    """Piece n was read at n seconds."""
    return Received(pieces, [float(number) for number in range(len(pieces))])


def _arrived(address: Address, pieces: list[bytes], author: Written) -> Arrived:
    sent = {author.author: Sent(author.ends, [0.0] * len(author.ends))}
    return arrived(Reader().read(address, _received(pieces)), sent)


@pytest.fixture(params=Dialect)
def address(request: pytest.FixtureRequest) -> Address:
    return Address("ws://127.0.0.1/", "a document", request.param)


@pytest.fixture
def author() -> Written:
    (only,) = written("graph", 1, 5)
    return only


def test_each_update_arrives_when_its_frame_is_whole(address: Address, author: Written) -> None:
    framed = [_served(address.update(update)) for update in author.updates]
    cut = [framed[0], framed[1] + framed[2][:3], framed[2][3:] + framed[3]]
    assert _arrived(address, cut, author).delays_s == [0, 1, 2, 2], "the fifth never came"


def test_updates_merged_into_one_frame_arrive_together(address: Address, author: Written) -> None:
    pieces = [b"\x89\x00", _served(address.update(merge_updates(*author.updates)))]
    assert _arrived(address, pieces, author).delays_s == [1] * 5


def test_what_arrives_again_counts_once(address: Address, author: Written) -> None:
    pieces = [_served(address.update(update)) for update in (*author.updates, author.updates[0])]
    assert _arrived(address, pieces, author).delays_s == [0, 1, 2, 3, 4]


def test_what_nobody_of_the_load_wrote_is_not_counted(address: Address, author: Written) -> None:
    assert _arrived(address, [_served(address.update(founded("graph")))], author).delays_s == []


def test_echoes_and_statuses_are_found() -> None:
    ours = Address("ws://127.0.0.1/", "a document", Dialect.Y_WEBSOCKET)
    theirs = Address("ws://127.0.0.1/", "a document", Dialect.HOCUSPOCUS)
    nobody = Written(FIRST_AUTHOR, [], [])
    assert _arrived(ours, [b"", _served(frames.saved(700))], nobody).echoes == {700: 1}
    status = _served(theirs.prefix + bytes((SYNC_STATUS, 1)))
    assert _arrived(theirs, [status, status], nobody).statuses_at_s == [0, 1]


def test_a_ping_is_no_message(author: Written) -> None:
    ours = Address("ws://127.0.0.1/", "a document", Dialect.Y_WEBSOCKET)
    pieces = [b"\x89\x02hi" + _served(ours.update(author.updates[0]))]
    assert _arrived(ours, pieces, author).delays_s == [0]


@pytest.mark.parametrize("kind", ["graph", "text"])
def test_every_update_moves_its_authors_clock(kind: str) -> None:
    for author in written(kind, 3, 100):
        assert len(author.updates) == len(author.ends) == len(set(author.ends))
        assert sorted(author.ends) == author.ends


def test_people_drag_and_rename_nodes_of_their_own() -> None:
    doc: Doc[Map[Map[object]]] = Doc()
    doc.apply_update(base_graph(200))
    before = doc.get("nodes", type=Map).to_py()
    for author in written("graph", 2, 40):
        for update in author.updates:
            doc.apply_update(update)
    after = doc.get("nodes", type=Map).to_py()
    assert before is not None
    assert after is not None
    moved = {node for node in after if after[node]["position"] != before[node]["position"]}
    renamed = {node for node in after if after[node]["label"] != before[node]["label"]}
    assert len(moved) == 36
    assert len(renamed) == 4


def test_letters_are_padded() -> None:
    doc: Doc[Text] = Doc()
    for author in written("text", 2, 10, padding_bytes=30):
        for update in author.updates:
            doc.apply_update(update)
    assert len(str(doc.get("text", type=Text))) == 10 * 31
