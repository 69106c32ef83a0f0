"""What the server says of its maintenance process: rule FOLLOW-12 of SPEC.md."""

import pytest

from server import supervision
from server.settings import Settings
from server.supervision import MaintenanceProcess


def test_the_lag_grows_while_nothing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """FOLLOW-12: whatever was last reported, an alarm on the lag finds a process that is away."""
    now = 100.0
    monkeypatch.setattr(supervision.time, "monotonic", lambda: now)
    process = MaintenanceProcess(Settings(), "postgresql:///nowhere")
    assert process.lag_s == 0
    now += 2
    assert process.lag_s == 0, "a report is not overdue yet"
    now += 100
    assert process.lag_s > 90
