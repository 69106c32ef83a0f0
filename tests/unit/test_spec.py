"""SPEC.md and the tests agree: every rule is proven by a test, every rule a test names exists."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = re.findall(r"^- ([A-Z]+)-(\d+) ", (ROOT / "SPEC.md").read_text(), re.MULTILINE)
AREAS = {area for area, _ in RULES}
_QUOTED = re.compile(
    rf"\b(?:test_)?({'|'.join(sorted(AREAS))})[-_](\d+)(?:(?:, | and |_and_)(?:\1-)?(\d+))?", re.IGNORECASE
)
_RANGE = re.compile(r"\b([A-Z]+)-(\d+) to \1-(\d+)")


def _sources() -> Iterator[str]:
    yield from (path.read_text() for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts)
    yield from (path.read_text() for path in (ROOT / "web" / "src").rglob("*.test.ts*"))


def _quoted() -> set[tuple[str, str]]:
    quoted: set[tuple[str, str]] = set()
    for text in _sources():
        text = _RANGE.sub("", text)
        for area, *numbers in _QUOTED.findall(text):
            quoted |= {(area.upper(), number) for number in numbers if number}
    return quoted


def test_every_rule_has_one_number() -> None:
    assert len(RULES) == len(set(RULES))


def test_every_rule_is_quoted_by_a_test() -> None:
    assert sorted(set(RULES) - _quoted()) == []


def test_every_rule_that_a_test_quotes_exists() -> None:
    assert sorted(_quoted() - set(RULES)) == []
