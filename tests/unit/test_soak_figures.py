"""The table of what the fault tests measured."""

import json
from pathlib import Path

import pytest

from scripts.soak_figures import table
from tests.faults import figures


def test_the_figures_of_a_test_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "figures.jsonl"
    monkeypatch.setattr(figures, "FILE", str(file))
    for name, acknowledged in (("kill", 1_000), ("freeze", 5), ("kill", 200)):
        with figures.figures(name) as counted:
            counted.add(strikes=2, acknowledged=acknowledged, missing=[])
    assert table(file.read_text().splitlines()).splitlines()[2:] == [
        "| kill | 2 | 4 | 1,200 | 0 |",
        "| freeze | 1 | 2 | 5 | 0 |",
        "| **all** | 3 | 6 | 1,205 | 0 |",
    ]


def test_a_loss_is_counted_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "figures.jsonl"
    monkeypatch.setattr(figures, "FILE", str(file))
    with pytest.raises(AssertionError, match="insert of a"), figures.figures("kill") as counted:
        counted.add(strikes=1, acknowledged=7, missing=["insert of a"])
    assert json.loads(file.read_text()) == {"test": "kill", "rounds": 1, "strikes": 1, "acknowledged": 7, "missing": 1}
