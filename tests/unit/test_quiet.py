"""PLANS-9: what is done once changes have come to rest."""

from uuid import UUID

from replay.quiet import MAX_WAITING, Quiet
from server.plan_projection import MOST_S, QUIET_S

DECK, PIER, ADA, BOB = (UUID(int=number) for number in range(1, 5))


def test_PLANS_9_a_plan_is_due_a_second_after_the_last_change() -> None:
    """PLANS-9: on behalf of whoever made that; and once."""
    quiet = Quiet(QUIET_S, MOST_S)
    assert quiet.next_at() is None
    quiet.heard(DECK, ADA, 100.0)
    quiet.heard(PIER, ADA, 100.2)
    quiet.heard(DECK, BOB, 100.9)

    assert quiet.next_at() == 101.2
    assert quiet.take_due(101.2) == [(PIER, ADA)]
    assert quiet.take_due(101.8) == []
    assert quiet.take_due(101.9) == [(DECK, BOB)]
    assert quiet.next_at() is None


def test_PLANS_9_a_plan_that_changes_all_the_time_is_due_after_ten_seconds() -> None:
    """PLANS-9."""
    quiet = Quiet(QUIET_S, MOST_S)
    for tenth in range(100):
        quiet.heard(DECK, ADA, 100 + tenth / 10)
        assert quiet.take_due(100 + tenth / 10) == []
    assert quiet.take_due(110.0) == [(DECK, ADA)]


def test_PLANS_9_only_so_many_wait() -> None:
    """PLANS-9: those that wait already are heard again."""
    quiet = Quiet(QUIET_S, MOST_S)
    heard = [quiet.heard(UUID(int=number), ADA, 0.0) for number in range(MAX_WAITING + 1)]
    assert heard == [True] * MAX_WAITING + [False]
    assert quiet.heard(UUID(int=0), ADA, 0.5)
