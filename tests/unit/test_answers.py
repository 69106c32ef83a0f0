"""The answers that several sessions of a room share: rules ROOM-2 and ROOM-8 of SPEC.md."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pycrdt import Doc, Map

from collab import answers as limits
from collab.answers import Answers
from collab.document import LiveDocument
from collab.wire import sync
from collab.wire.frames import Outbound
from collab.wire.update import walk
from tests.clients.messages import messages
from tests.unit.documents import recorded


class Scene:
    """A document that somebody edits, and the answers made of it."""

    def __init__(self) -> None:
        self.scheduled: list[Callable[[float], None]] = []
        self.answers = Answers(lambda _delay_s, callback: self.scheduled.append(callback))
        self.document = LiveDocument()
        self.source, self._updates = recorded(1)

    def edit(self, key: str, text: str = "x") -> None:
        self._updates.clear()
        self.source.get("nodes", type=Map)[key] = text
        for update in self._updates:
            change = self.document.apply(update, walk(update)).change
            assert change is not None
            self.answers.changed(change)

    def ask(self) -> tuple[Outbound, ...]:
        return self.answers.answer(self.document, {})

    def is_whole(self, answer: Sequence[Outbound]) -> bool:
        """Whether the messages of an answer make the document of one who had nothing."""
        replica: Doc[Any] = Doc()
        for message in answer:
            (content,) = messages(message.payload)
            assert isinstance(content, sync.Update)
            replica.apply_update(content.update)
        return replica.get("nodes", type=Map).to_py() == self.source.get("nodes", type=Map).to_py()


def test_who_knows_the_same_is_sent_the_same_message() -> None:
    scene = Scene()
    scene.edit("a")
    (first,), (second,) = scene.ask(), scene.ask()
    assert first is second
    assert scene.is_whole([first])


def test_a_small_answer_is_made_anew_after_a_change() -> None:
    scene = Scene()
    scene.edit("a")
    before = scene.ask()
    scene.edit("b")
    after = scene.ask()
    assert len(after) == 1
    assert after != before
    assert scene.is_whole(after)


def test_a_large_answer_is_followed_by_what_changed_since() -> None:
    scene = Scene()
    scene.edit("a", "x" * limits.LARGE_BYTES)
    (before,) = scene.ask()
    scene.edit("b")
    scene.edit("a", "y")
    step2, since = scene.ask()
    assert step2 is before
    assert scene.is_whole([step2, since])


def test_one_that_is_kept_later_is_followed_only_by_what_changed_after_it() -> None:
    scene = Scene()
    scene.edit("a", "x" * limits.LARGE_BYTES)
    scene.ask()
    scene.edit("b")
    known = {next(iter(scene.document.state_vector)): 1}
    assert len(scene.answers.answer(scene.document, known)) == 1


@pytest.mark.parametrize("changes", [("y" * limits.CHANGES_BYTES,), ("y",) * (limits.MOST_CHANGES + 1)])
def test_after_many_changes_the_answer_is_made_anew(changes: Sequence[str]) -> None:
    scene = Scene()
    scene.edit("a", "x" * limits.LARGE_BYTES)
    scene.ask()
    for text in changes:
        scene.edit("b", text)
    messages = scene.ask()
    assert len(messages) == 1
    assert scene.is_whole(messages)


def test_answers_are_kept_for_a_while_only() -> None:
    scene = Scene()
    scene.edit("a")
    (before,) = scene.ask()
    assert len(scene.scheduled) == 1
    scene.scheduled.pop()(0.0)
    (after,) = scene.ask()
    assert after is not before
    assert len(scene.scheduled) == 1


def test_those_who_come_one_after_the_other_are_each_sent_all_that_changed() -> None:
    scene = Scene()
    scene.edit("a", "x" * limits.LARGE_BYTES)
    (before,) = scene.ask()
    for number in range(5):
        scene.edit("b", f"{number}")
        scene.edit(f"{number}")
        step2, since = scene.ask()
        assert step2 is before
        assert scene.is_whole([step2, since])


def test_only_so_many_bytes_of_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    scene.edit("a", "x" * 100)
    monkeypatch.setattr(limits, "KEPT_BYTES", 100)
    assert scene.ask()[0] is not scene.ask()[0]


def test_only_so_many_answers_are_kept() -> None:
    scene = Scene()
    scene.edit("a", "x" * 100)
    client = next(iter(scene.document.state_vector))
    for clock in range(limits.MOST_KEPT):
        scene.answers.answer(scene.document, {client: clock + 1})
    assert scene.ask()[0] is not scene.ask()[0]
