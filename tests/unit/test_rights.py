"""RIGHTS-3, RIGHTS-5 to RIGHTS-8, RIGHTS-11 and RIGHTS-12: which rights are looked at when, and what comes of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from auth.policy import OPERATOR, Action, Credential, Principal
from collab.doorkeeper import Admission
from collab.rechecking import BATCH, End, Rechecking, judge
from collab.rights import OpenRights
from persistence.errors import StoreUnavailableError
from persistence.ports import Claim, RightsNotice, Verdict
from tests.clients.eventually import eventually

NOW = datetime.now(UTC)
LATER = NOW + timedelta(minutes=5)
GRAPH, USER, SESSION = UUID(int=1), UUID(int=2), UUID(int=3)
GOOD = Verdict(is_valid=True, expires_at=None, is_there=True, role="member")


def admission(
    kind: str = "session", expires_at: datetime | None = LATER, scopes: frozenset[Action] = frozenset(Action)
) -> Admission:
    credential = Credential(kind, None if kind == "backend" else SESSION, expires_at)  # type: ignore[arg-type]
    return Admission(GRAPH, Principal(USER, "Ann", "person", credential, scopes=scopes), read_only=False)


def in_s(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("verdict", "end"),
    [
        (GOOD._replace(is_valid=False, is_there=False, role=None), End.REVOKED),
        (GOOD._replace(is_there=False, role=None), End.GONE),
        (GOOD._replace(role=None), End.FORBIDDEN),
        (GOOD._replace(expires_at=LATER), None),
    ],
)
def test_RIGHTS_1_the_first_that_is_missing_says_why(verdict: Verdict, end: End | None) -> None:
    outcome = judge(admission(), verdict, NOW)
    assert outcome == (admission() if end is None else end)


def test_RIGHTS_3_only_a_session_is_prolonged() -> None:
    newer = GOOD._replace(expires_at=LATER + timedelta(minutes=5))
    after = LATER + timedelta(seconds=1)
    assert judge(admission(), GOOD._replace(expires_at=LATER), LATER) is End.EXPIRED
    prolonged = judge(admission(), newer, after)
    assert isinstance(prolonged, Admission)
    assert prolonged.principal.credential.expires_at == newer.expires_at
    assert judge(admission("backend"), newer, after) is End.EXPIRED
    assert judge(admission("token"), GOOD._replace(expires_at=NOW), NOW) is End.EXPIRED
    assert judge(admission("token", None), GOOD, after) == admission("token", None)


def test_RIGHTS_6_scopes_cap_what_a_role_gives() -> None:
    reading = admission(scopes=frozenset({Action.READ}))
    assert judge(reading, GOOD._replace(role="admin"), NOW) == replace(reading, read_only=True)
    assert judge(admission(scopes=frozenset({Action.MANAGE})), GOOD._replace(role="admin"), NOW) is End.FORBIDDEN
    assert judge(Admission(GRAPH, OPERATOR, read_only=False), GOOD._replace(role="admin"), NOW) == Admission(
        GRAPH, OPERATOR, read_only=False
    )


class Holding:
    """A channel that notes what becomes of it."""

    def __init__(self, rights: OpenRights, admission: Admission, since: int = 0) -> None:
        self.admission = admission
        self.ended: tuple[int, str] | None = None
        self.times_asked = 0
        self._rights = rights
        rights.watch(self, since)

    def admit_again(self, admission: Admission, since: int) -> None:
        self.admission = admission
        self._rights.watch(self, since)

    def expel(self, code: int, reason: str) -> None:
        self._rights.forget(self)
        self.ended = (code, reason)

    def ask_for_token(self) -> None:
        self.times_asked += 1


class Shelf:
    """A store that says the same of everybody; `is_away` while it does not answer."""

    def __init__(self, verdict: Verdict = GOOD) -> None:
        self.verdict = verdict
        self.is_away = False
        self.asked: list[int] = []
        self.answer = asyncio.Event()
        self.answer.set()

    async def look_up(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        self.asked.append(len(claims))
        await self.answer.wait()
        if self.is_away:
            raise StoreUnavailableError("away")
        return [self.verdict] * len(claims)


@asynccontextmanager
async def rechecking(rights: OpenRights, store: Shelf, grace_s: float = 60.0) -> AsyncIterator[Rechecking]:
    checks = Rechecking(rights, store, lambda _: None, lambda *_: None, grace_s=grace_s)
    running = asyncio.create_task(checks.run())
    yield checks
    running.cancel()
    await asyncio.wait([running])


async def end_of(holding: Holding) -> tuple[int, str] | None:
    return holding.ended


async def ended(holding: Holding) -> tuple[int, str] | None:
    return await eventually(lambda: end_of(holding), lambda end: end is not None)


@pytest.mark.parametrize("notice", [("user", USER), ("session", SESSION), ("graph", GRAPH), ("project", UUID(int=9))])
async def test_RIGHTS_1_a_notice_has_those_looked_at_whom_it_concerns(notice: tuple[str, UUID]) -> None:
    rights = OpenRights()
    holding = Holding(rights, admission())
    stranger = Principal(UUID(int=7), "Bob", "person", Credential("session", UUID(int=8), LATER))
    other = Holding(rights, Admission(UUID(int=9), stranger, read_only=False))
    rights.changed(RightsNotice(*notice))
    expected = [holding, other] if notice[0] == "project" else [holding]
    assert rights.take_due(10) == expected
    rights.forget(holding)
    rights.changed(RightsNotice(*notice))
    assert holding not in rights.take_due(10)


async def test_RIGHTS_7_whoever_comes_in_by_what_was_asked_before_a_change_is_looked_at() -> None:
    rights = OpenRights()
    since = rights.generation
    before = Holding(rights, admission(), since)
    rights.changed(RightsNotice("user", UUID(int=77)))
    assert rights.take_due(10) == []
    late = Holding(rights, admission(), since)
    Holding(rights, admission(), rights.generation)
    assert rights.take_due(10) == [late]
    rights.changed(None)
    assert len(rights.take_due(10)) == 3
    assert before in rights


async def test_RIGHTS_7_what_was_looked_up_for_older_rights_is_not_carried_out() -> None:
    rights, store = OpenRights(), Shelf(GOOD._replace(role="viewer"))
    holding = Holding(rights, admission())
    store.answer.clear()
    async with rechecking(rights, store) as checks:
        rights.changed(RightsNotice("user", USER))
        await eventually(lambda: asked(store), bool)
        newer = admission(expires_at=LATER + timedelta(hours=1))
        holding.admit_again(newer, rights.generation)
        store.answer.set()
        await eventually(lambda: looked_up(checks), bool)
        assert holding.admission is newer
        rights.changed(RightsNotice("user", USER))
        await eventually(lambda: looked_up(checks), lambda count: count == 2)
        await asyncio.sleep(0)
        assert holding.admission.read_only


async def asked(store: Shelf) -> int:
    return len(store.asked)


async def looked_up(checks: Rechecking) -> int:
    return checks.statistics.looked_up


async def test_RIGHTS_11_while_the_store_is_away_only_those_go_whose_time_was_up_long_ago() -> None:
    rights, store = OpenRights(), Shelf(GOOD._replace(is_valid=False))
    store.is_away = True
    overdue = Holding(rights, admission(expires_at=in_s(-100)))
    backend = Holding(rights, admission("backend", in_s(0.01)))
    expired, valid = Holding(rights, admission(expires_at=in_s(0.01))), Holding(rights, admission(expires_at=in_s(100)))
    async with rechecking(rights, store, grace_s=50.0):
        assert await ended(overdue) == End.EXPIRED.value
        assert await ended(backend) == End.EXPIRED.value
        rights.changed(None)
        tries = len(store.asked)
        await eventually(lambda: asked(store), lambda count: count >= tries + 2)
        assert (expired.ended, valid.ended) == (None, None)
        store.is_away = False
        assert await ended(valid) == await ended(expired) == End.REVOKED.value


async def test_RIGHTS_11_whose_time_is_up_for_certain_does_not_wait_for_a_store_that_hangs() -> None:
    rights, store = OpenRights(), Shelf()
    store.answer.clear()
    async with rechecking(rights, store):
        backend, session = Holding(rights, admission("backend", in_s(0.05))), Holding(rights, admission())
        rights.changed(RightsNotice("session", SESSION))
        await eventually(lambda: asked(store), bool)
        assert await ended(backend) == End.EXPIRED.value
        assert (session.ended, not store.answer.is_set()) == (None, True)


async def test_RIGHTS_5_a_client_is_asked_before_its_time_is_up_and_again_if_that_could_not_be_decided() -> None:
    rights, store = OpenRights(token_renewal_s=0.1), Shelf()
    holding = Holding(rights, admission("backend", in_s(0.2)))
    async with rechecking(rights, store):
        assert await ended(holding) == End.EXPIRED.value
    assert holding.times_asked == 1
    again = Holding(rights, admission("backend", in_s(0.2)))
    rights.ask_again(again)
    async with rechecking(rights, store):
        await ended(again)
    assert again.times_asked == 0, "its end comes before that"


async def test_RIGHTS_5_a_client_that_answers_with_the_same_token_is_not_asked_again() -> None:
    rights, store = OpenRights(token_renewal_s=0.1), Shelf()
    holding = Holding(rights, admission("backend", in_s(0.2)))

    async def asked_once() -> int:
        return holding.times_asked

    await eventually(asked_once, lambda times: times == 1)
    holding.admit_again(holding.admission, rights.generation)
    async with rechecking(rights, store):
        await ended(holding)
    assert holding.times_asked == 1
    assert store.asked == [], "it ends without anybody being asked"


async def test_RIGHTS_12_many_are_looked_up_by_few_statements() -> None:
    rights, store = OpenRights(), Shelf(GOOD._replace(role=None))
    holdings = [Holding(rights, admission()) for _ in range(2 * BATCH + 1)]
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with rechecking(rights, store):
        rights.changed(RightsNotice("user", USER))
        counting = asyncio.create_task(count_turns())
        await ended(holdings[-1])
        counting.cancel()
    assert store.asked == [BATCH, BATCH, 1]
    assert all(holding.ended == End.FORBIDDEN.value for holding in holdings)
    assert turns > 2
