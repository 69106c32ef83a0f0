"""How long work gathers that is cheaper together: commits, and steps of the follower."""

import pytest

from collab.follower import FollowerSettings, rest_s
from persistence.log_writer import BUSY_ENTRIES, LogSettings, window_s


def test_LOG_2_operations_gather_longer_while_many_come() -> None:
    settings = LogSettings(window_s=0.004, busy_window_s=0.01)
    assert window_s(BUSY_ENTRIES - 1, settings) == 0.004
    assert window_s(BUSY_ENTRIES, settings) == 0.01


def test_LOG_2_a_window_that_was_set_longer_stays_so() -> None:
    assert window_s(BUSY_ENTRIES, LogSettings(window_s=0.05, busy_window_s=0.01)) == 0.05


@pytest.mark.parametrize(
    ("worked_s", "rests_s"),
    [(0.001, 0.249), (0.01, 0.24), (0.02, 0.38), (0.05, 0.95), (0.2, 1.0), (30.0, 1.0)],
    ids=["idle", "one graph", "a busy one", "many", "all one core does", "far behind"],
)
def test_FOLLOW_14_the_follower_rests_nineteen_times_as_long_as_it_worked_up_to_a_second(
    worked_s: float, rests_s: float
) -> None:
    assert rest_s(worked_s, FollowerSettings()) == pytest.approx(rests_s)
