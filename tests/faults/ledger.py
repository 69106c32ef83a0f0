"""What a writer did and what it was told is saved: the two sides of the promise."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ledger:
    """The updates of one writer in the order in which they were sent.

    Each update makes one token appear in, or disappear from, the document.
    """

    updates: list[tuple[str, bool]] = field(default_factory=list)
    acknowledged: int = 0

    def sent(self, token: str, *, present: bool) -> None:
        """The next update makes `token` present or absent."""
        self.updates.append((token, present))

    def acknowledge(self, updates: int) -> None:
        """The first `updates` updates were acknowledged as durable."""
        self.acknowledged = max(self.acknowledged, updates)

    def acknowledged_deletes(self) -> int:
        """How many of the acknowledged updates only deleted something."""
        return sum(not present for _, present in self.updates[: self.acknowledged])

    def missing(self, tokens: Iterable[str]) -> list[str]:
        """Return the acknowledged updates whose effect a document with exactly `tokens` lacks.

        A token touched again by a later update without an acknowledgement may be either way.
        """
        found = set(tokens)
        promised = dict(self.updates[: self.acknowledged])
        for token, _ in self.updates[self.acknowledged :]:
            promised.pop(token, None)
        return [
            f"{'insert' if present else 'delete'} of {token}"
            for token, present in promised.items()
            if (token in found) is not present
        ]
