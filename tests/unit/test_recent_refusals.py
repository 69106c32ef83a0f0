"""RIGHTS-13: who is refused again without asking."""

from dataclasses import replace

import pytest

from collab.doorkeeper import NO_SUCH_GRAPH, RefusedError, Visitor
from collab.rechecking import End
from collab.rights import OpenRights
from server import recent_refusals
from server.recent_refusals import RecentRefusals, key_of
from tests.unit.test_rights import admission

KEY = key_of(Visitor("localhost"), "token", "graph")


class Door:
    """What remembers, and whether changes are heard of."""

    def __init__(self) -> None:
        self.rights, self.is_listening = OpenRights(), True
        self.refusals = RecentRefusals(self.rights, lambda: self.is_listening)

    def refuse(self, key: bytes = KEY, status: int = 404) -> None:
        self.refusals.add(key, RefusedError(status, "no"), self.refusals.generation)

    def remembers(self, key: bytes = KEY) -> bool:
        try:
            self.refusals.check(key)
        except RefusedError:
            return True
        return False


@pytest.mark.parametrize(("status", "is_remembered"), [(401, True), (404, True), (403, False), (503, False)])
def test_RIGHTS_13_only_what_the_database_said_is_remembered(status: int, is_remembered: bool) -> None:
    door = Door()
    assert not door.remembers()
    door.refuse(status=status)
    assert door.remembers() == is_remembered
    assert not door.remembers(key_of(Visitor("localhost", "https://elsewhere.example"), "token", "graph"))
    assert not door.remembers(key_of(Visitor("localhost"), "token", "another graph"))


def test_RIGHTS_13_what_time_alone_may_change_is_not_remembered() -> None:
    door = Door()
    door.refusals.add(KEY, RefusedError(401, "not valid yet", is_passing=True), door.refusals.generation)
    assert not door.remembers()


def test_RIGHTS_13_any_change_of_rights_and_any_silence_voids_it() -> None:
    door = Door()
    door.refuse()
    door.rights.changed(None)
    assert not door.remembers()
    since = door.refusals.generation
    door.rights.changed(None)
    door.refusals.add(KEY, RefusedError(404, "by what held before the change"), since)
    assert not door.remembers()
    door.refuse()
    door.is_listening = False
    assert not door.remembers()


def test_RIGHTS_13_it_is_bounded_in_time_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    door, now = Door(), 0.0
    monkeypatch.setattr(recent_refusals, "monotonic", lambda: now)
    monkeypatch.setattr(recent_refusals, "MOST", 3)
    for number in range(5):
        door.refuse(bytes((number,)))
    assert [door.remembers(bytes((number,))) for number in range(5)] == [False, False, True, True, True]
    now = recent_refusals.REMEMBERED_S
    assert not door.remembers(bytes((4,)))


@pytest.mark.parametrize(("end", "status"), [(End.REVOKED, 401), (End.FORBIDDEN, 404), (End.GONE, 404)])
def test_RIGHTS_13_whoever_is_let_go_is_refused_at_once(end: End, status: int) -> None:
    door = Door()
    door.refusals.ended(admission(), end, door.refusals.generation)
    assert not door.remembers(b""), "one that brought no token"
    door.refusals.ended(replace(admission(), key=KEY), end, door.refusals.generation)
    with pytest.raises(RefusedError) as refused:
        door.refusals.check(KEY)
    assert (refused.value.status, refused.value.detail == NO_SUCH_GRAPH) == (status, status == 404)
