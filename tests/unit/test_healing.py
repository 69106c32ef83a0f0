"""ROOM-11, QUAR-8 to QUAR-10: a live document that failed is made anew under its sessions."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from pycrdt import Map

from collab.document import Applied, LiveDocument, PoisonedDocumentError
from collab.hub import SERVED_ELSEWHERE
from collab.outbox import Outbox
from collab.pacing import CALM_S, Pacing
from collab.room import Room
from collab.wire.update import Shape, walk
from persistence.errors import NotFoundError, StoreUnavailableError
from persistence.records import Operation
from tests.unit.documents import KILLERS, SETS_FREE, panic_on, recorded
from tests.unit.rooms import GRAPH, START, USER
from tests.unit.scenes import Scene, content, write

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


async def test_ROOM_11_the_author_alone_is_cut_and_all_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    scene.writer.push(write(scene.writer, "before"))
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.author.push(bad)
    assert scene.author.closed is not None
    assert (scene.author.closed[0], "yrs" in scene.author.closed[1]) == (4400, True)
    assert scene.writer.is_paused
    assert scene.reader.is_paused
    await scene.calm()
    assert (scene.writer.closed, scene.reader.closed) == (None, None)
    assert not scene.writer.is_paused
    scene.writer.push(write(scene.writer, "after"))
    await scene.calm()
    expected = {"before": "x", "after": "x"}
    assert [scene.live(), content(scene.writer), content(scene.reader)] == [expected] * 3
    assert (scene.hub.statistics.poisoned, scene.hub.statistics.healed) == (1, 1)
    assert bad not in [operation.update for operation in scene.log.stored]


async def test_QUAR_8_what_others_send_meanwhile_is_neither_lost_nor_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    scene.writer.push(write(scene.writer, "uncommitted"))
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.author.push(bad)
    sent = [write(scene.writer, f"meanwhile {number}") for number in range(3)]
    scene.writer.push(*sent)
    assert scene.log.stored == []
    await scene.calm()
    expected = {"uncommitted": "x", **{f"meanwhile {number}": "x" for number in range(3)}}
    assert [scene.live(), content(scene.reader)] == [expected] * 2
    stored = [operation.update for operation in scene.log.stored]
    assert [stored.count(update) for update in sent] == [1, 1, 1]


async def test_QUAR_8_one_whose_update_set_the_bad_one_free_is_no_author(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    first, second = write(scene.author, "first"), write(scene.author, "second")
    scene.author.push(second)
    panic_on(monkeypatch, second)
    scene.log.commit()
    scene.writer.push(first)
    assert scene.writer.closed is None
    assert scene.author.closed is not None
    await scene.calm()
    assert scene.live() == {"first": "x"}
    await scene.hub.reload(GRAPH, b"")
    assert list(scene.store.quarantined) == [1], "it had been stored as one that waits"
    assert scene.live() == {"first": "x"}
    assert [operation.update for operation in scene.log.stored] == [second, first]


async def test_QUAR_8_whoever_joins_meanwhile_waits_and_finds_the_same_room(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    joining = asyncio.create_task(scene.hub.open(GRAPH))
    await asyncio.sleep(0.01)
    assert scene.hub.live(GRAPH) is None
    assert not joining.done()
    scene.store.answer.set()
    assert await joining is scene.room
    assert scene.leases.held == [GRAPH], "the lease was never given back"


async def test_QUAR_8_a_server_edit_committed_meanwhile_reaches_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    doc, updates = recorded(9)
    doc.get("map", type=Map)["by the server"] = "x"
    operation = Operation(GRAPH, updates[0], "{}", USER, "server", "9", START, START)
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    await asyncio.sleep(0.01)
    scene.room.record_server_edit([operation], [], lambda: scene.room.apply_committed(updates[0], 0.0))
    scene.log.commit()
    scene.store.answer.set()
    await scene.calm()
    expected = {"by the server": "x"}
    assert [scene.live(), content(scene.writer), content(scene.reader)] == [expected] * 3


async def test_QUAR_8_presence_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    scene.room.announcements.receive(scene.writer.session, b"\x01\x05\x01\x02{}", 0.0)

    def told() -> list[bytes]:
        scene.reader.inbox.clear()
        scene.room.announcements.tell_everyone(scene.reader.session)
        return scene.reader.inbox

    [everyone] = told()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.author.push(bad)
    await scene.calm()
    assert told() == [everyone]


async def test_QUAR_9_a_document_that_cannot_be_loaded_again_is_given_up_with_4500(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await Scene(load_timeout_s=0.02).begin()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    with pytest.raises(StoreUnavailableError):
        await scene.hub.open(GRAPH)
    assert scene.writer.closed is not None
    assert scene.writer.closed[0] == 4500
    assert scene.leases.held == []
    scene.store.answer.set()
    assert isinstance(await scene.hub.open(GRAPH), Room)


async def test_QUAR_10_a_graph_deleted_while_it_heals_is_closed_with_4404(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    joining = asyncio.create_task(scene.hub.open(GRAPH))
    await asyncio.sleep(0.01)
    scene.hub.forget_graph(GRAPH)
    scene.store.failure = NotFoundError("graph", GRAPH)
    scene.store.answer.set()
    with pytest.raises(NotFoundError):
        await joining
    assert scene.writer.closed is not None
    assert scene.writer.closed[0] == 4404
    assert scene.leases.held == []


async def test_QUAR_10_a_lease_lost_while_it_heals_closes_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene().begin()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    await asyncio.sleep(0.01)
    scene.leases.lose(GRAPH)
    scene.store.answer.set()
    await scene.calm()
    assert scene.writer.closed is not None
    assert scene.writer.closed[0] == SERVED_ELSEWHERE
    assert scene.hub.rooms == ()
    assert scene.leases.held == []


async def test_QUAR_10_a_stop_while_it_heals_leaves_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    before = asyncio.all_tasks()
    scene = await Scene().begin()
    bad = write(scene.author, "bad")
    panic_on(monkeypatch, bad)
    scene.store.answer.clear()
    scene.author.push(bad)
    await asyncio.sleep(0.01)
    async with asyncio.timeout(1):
        await scene.hub.close()
    assert asyncio.all_tasks() == before


async def test_QUAR_4_what_fails_only_when_it_is_read_is_found_and_its_author_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The update is taken and stored; the next who asks for the whole document brings it to light."""
    import collab.document as module

    scene = await Scene().begin()
    scene.writer.push(write(scene.writer, "good"))
    bad = write(scene.author, "bad")
    ((client, _),) = walk(bad).struct_ends.items()
    read = module.LiveDocument.difference

    def fail_with_bad(document: Any, known: Any) -> bytes:
        if client in document.state_vector:
            raise module.PoisonedDocumentError(None, "a panic")
        return read(document, known)

    scene.author.push(bad)
    scene.writer.push(write(scene.writer, "later"))
    scene.log.commit()
    monkeypatch.setattr(module.LiveDocument, "difference", fail_with_bad)
    with pytest.raises(module.PoisonedDocumentError) as caught:
        scene.room.answer_step1(scene.writer.session, b"\x00")
    scene.hub.poisoned(scene.room, caught.value, scene.writer.session)
    await scene.calm()
    assert list(scene.store.quarantined) == [2]
    assert scene.live() == {"good": "x", "later": "x"}
    assert scene.writer.closed is None
    assert scene.author.closed is not None
    assert scene.author.closed[0] == 4400


async def test_QUAR_4_one_that_came_early_and_is_refused_at_its_turn_takes_nobody_elses_edit_with_it() -> None:
    scene = await Scene().begin()
    scene.author.push(KILLERS["bomb that waits"])
    scene.writer.push(SETS_FREE)
    await scene.calm()
    assert scene.writer.closed is None
    assert [operation.update for operation in scene.log.stored] == [KILLERS["bomb that waits"], SETS_FREE]
    assert scene.room.document.state_vector == {16: 30}


async def test_QUAR_8_nothing_is_applied_and_not_stored_whatever_fails_at_one_that_was_set_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await Scene().begin()
    first, second = write(scene.author, "first"), write(scene.author, "second")
    scene.author.push(second)
    scene.log.commit()
    apply = LiveDocument.apply

    def fail(document: LiveDocument, update: bytes, shape: Shape) -> Applied:
        if update == second:
            raise KeyError(second)
        return apply(document, update, shape)

    monkeypatch.setattr(LiveDocument, "apply", fail)
    scene.writer.push(first)
    assert (scene.author.closed is None, scene.writer.closed) == (False, None)
    await scene.calm()
    assert scene.live() == {"first": "x"}
    assert [operation.update for operation in scene.log.stored] == [second, first]


async def test_QUAR_12_what_brought_down_one_document_is_taken_in_that_of_another_graph() -> None:
    scene = await Scene().begin()
    update = write(scene.writer, "key")
    other = await scene.hub.open(UUID(int=7))
    scene.hub.poisoned(other, PoisonedDocumentError(update, "test"))
    scene.writer.push(update)
    await scene.calm()
    assert scene.live() == {"key": "x"}


async def test_QUAR_12_a_row_is_left_out_only_if_the_document_of_its_graph_fails_on_it() -> None:
    scene = await Scene().begin()
    update = write(scene.writer, "key")
    scene.writer.push(update)
    scene.log.commit()
    scene.hub.poisoned(scene.room, PoisonedDocumentError(update, "test"))
    await scene.calm()
    assert (scene.live(), scene.store.quarantined) == ({"key": "x"}, {})


async def test_QUAR_4_a_row_in_pieces_of_which_one_is_refused_late_does_not_bring_down_a_live_document() -> None:
    """Such rows are of older versions; what set the piece free is stored, and the next load leaves the row out."""
    scene = await Scene().begin()
    letter = b"\x04\x01\x01t\x01a"
    with_gap = b"\x02" + b"\x03\x12\x00" + letter + b"\x0a\x01" + letter + KILLERS["bomb that waits"][1:]
    scene.log.stored.append(Operation(GRAPH, with_gap, "{}", USER, "of old", "", START, None))
    await scene.hub.reload(GRAPH, b"")
    scene.writer.push(SETS_FREE)
    await scene.calm()
    assert scene.hub.statistics.poisoned == 0
    assert [operation.update for operation in scene.log.stored] == [with_gap, SETS_FREE]


async def test_ROOM_5_what_healing_leaves_out_is_never_acknowledged() -> None:
    scene = await Scene().begin()
    second = scene.visitor(4)
    for visitor in (scene.author, second):  # whose row it is, and one who sent the same
        visitor.push(KILLERS["bomb that waits"])
        visitor.ask_saved(b"token")
    scene.writer.push(SETS_FREE)
    scene.log.commit()
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    await scene.calm()
    assert list(scene.store.quarantined) == [1]
    for visitor in (scene.author, second):
        visitor.read()
        assert visitor.echoes == []
    assert scene.author.closed is not None
    assert [payload for payload in scene.author.sent_after_close if payload[0] == 0x66] == []


async def test_QUAR_8_one_who_falls_behind_meanwhile_gets_what_was_taken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await Scene().begin()
    slow = scene.visitor(4)
    first, second = write(scene.author, "first"), write(scene.author, "second")
    scene.author.push(second)
    panic_on(monkeypatch, second)
    scene.log.commit()
    scene.writer.push(first)
    scene.room.fall_behind(slow.session)
    await scene.calm()
    slow.read()
    scene.room.catch_up(slow.session)
    slow.read()
    assert content(slow) == {"first": "x"}


async def test_QUAR_8_nobody_is_sent_anything_if_nobody_lacks_anything() -> None:
    scene = await Scene().begin()
    scene.writer.push(write(scene.writer, "key"))
    await scene.calm()
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    for _ in range(100):
        await asyncio.sleep(0)
    scene.hub.flush(scene.clock.now)
    assert scene.hub.statistics.healed == 1
    assert [visitor.inbox for visitor in (scene.author, scene.writer, scene.reader)] == [[], [], []]


def test_ROOM_8_one_who_falls_behind_is_said_to_know_the_least_that_a_window_began_with() -> None:
    outbox = Outbox()
    outbox.add(b"later", None, {1: 5, 2: 1})
    outbox.add(b"all of it, after healing", None, {1: 3, 2: 4})
    assert outbox.known_without({1: 9, 2: 9, 3: 9}) == {1: 3, 2: 1, 3: 9}


async def test_QUAR_11_a_document_that_is_loaded_again_for_a_release_is_none_that_was_healed() -> None:
    scene = await Scene().begin()
    await scene.hub.reload(GRAPH, b"")
    await scene.calm()
    assert (scene.hub.statistics.poisoned, scene.hub.statistics.healed) == (0, 0)


def test_QUAR_13_a_document_that_goes_on_failing_rests_longer_and_longer_until_it_was_calm() -> None:
    pacing, now = Pacing(), 100.0
    pauses = []
    for _ in range(9):
        pauses.append(pacing.pause_s(GRAPH, now))
        now += 10.0
    assert pauses == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert pacing.pause_s(UUID(int=7), now) == 0.0
    assert pacing.pause_s(GRAPH, now + CALM_S) == 0.0


async def test_QUAR_13_a_document_that_failed_a_moment_ago_waits_while_other_graphs_go_on() -> None:
    scene = await Scene().begin()
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    await scene.hub.open(GRAPH)
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    again = asyncio.create_task(scene.hub.open(GRAPH))
    await scene.hub.open(UUID(int=7))
    await scene.calm()
    assert (scene.writer.is_paused, again.done()) == (True, False)
    assert await again is scene.room
    assert not scene.writer.is_paused


async def test_QUAR_8_one_whose_line_fails_when_it_goes_on_keeps_no_other_from_going_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await Scene().begin()

    def fail() -> None:
        raise RuntimeError("test")

    for visitor in (scene.author, scene.reader):
        monkeypatch.setattr(visitor, "resume", fail)
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context["exception"]))
    scene.hub.poisoned(scene.room, PoisonedDocumentError(None, "test"))
    await scene.calm()
    assert not scene.writer.is_paused
    assert [str(failure) for failure in failures] == ["test", "test"]
