"""Print what `make soak` measured as a Markdown table: `python scripts/soak_figures.py .make/soak.jsonl`."""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

COLUMNS = ("rounds", "strikes", "acknowledged", "missing")
_HEAD = "| Fault | Rounds | Strikes | Edits acknowledged | Missing |\n|---|---:|---:|---:|---:|\n"


def table(lines: Iterable[str]) -> str:
    """Return one row a test, in the order in which they first came; those that came again are added up."""
    tests: dict[str, Counter[str]] = {}
    for line in lines:
        figures = json.loads(line)
        tests.setdefault(figures["test"], Counter()).update({column: figures[column] for column in COLUMNS})
    total = sum(tests.values(), Counter())
    return _HEAD + "".join(_row(test, counts) for test, counts in (*tests.items(), ("**all**", total)))


def _row(test: str, counts: Counter[str]) -> str:
    return f"| {test} | {' | '.join(f'{counts[column]:,}' for column in COLUMNS)} |\n"


if __name__ == "__main__":
    sys.stdout.write(table(Path(sys.argv[1]).read_text().splitlines()))
