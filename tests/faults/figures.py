"""What the fault tests measured, one line of JSON each, in the file that LAYERCAKE_FAULT_FIGURES names."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = os.environ.get("LAYERCAKE_FAULT_FIGURES")


@dataclass(slots=True)
class Figures:
    """Of one test: how often it was repeated, how often it struck, and what became of what was called saved."""

    test: str
    rounds: int = 0
    strikes: int = 0
    acknowledged: int = 0
    missing: int = 0

    def add(self, *, strikes: int, acknowledged: int, missing: Sequence[str]) -> None:
        """Count a round, and assert that nothing is missing."""
        self.rounds += 1
        self.strikes += strikes
        self.acknowledged += acknowledged
        self.missing += len(missing)
        assert not missing, f"missing in round {self.rounds}: {missing}"


@contextmanager
def figures(test: str) -> Iterator[Figures]:
    """Figures to add to, printed at the end of the block and appended to the file if one is named."""
    counted = Figures(test)
    try:
        yield counted
    finally:
        line = json.dumps(asdict(counted))
        print(line)
        if FILE is not None:
            with Path(FILE).open("a") as file:
                file.write(f"{line}\n")
