"""docs/reliability.md names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reliability.md").read_text()
FILES = sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT)))
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "skipped" not in line]


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_there(path: str) -> None:
    assert (ROOT / path).exists() or "skipped" in next(line for line in TEXT.splitlines() if path in line)


@pytest.mark.parametrize("row", [row for row in ROWS if "`test_" in row])
def test_every_test_is_in_a_file_of_its_row(row: str) -> None:
    sources = "".join((ROOT / path).read_text() for path in re.findall(r"`(tests/[\w/]+\.py)`", row))
    assert [name for name in re.findall(r"`(test_\w+)`", row) if f"def {name}(" not in sources] == []
