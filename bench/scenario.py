"""What a scenario of the benchmark is: a load for each server in turn, its figures, and the bars set for Layercake."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.peers import Peer

COMPARED_WITH = "y-websocket 2.1.0"
"""The server to which every table shows a ratio."""

Sample = Mapping[str, float]
"""What one round measured, by the keys of the scenario's figures; what a server does not have is left out."""

Samples = Mapping[str, list[Sample]]
"""The rounds of each server, by its name, Layercake's first; round n of all servers were run next to each other."""

StartPeer = Callable[[Path], AbstractAsyncContextManager[Peer]]
"""Start a server that keeps its files in a folder of its own; nothing of it is left behind."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table: medians of `key`, in `unit`."""

    key: str
    label: str
    unit: str
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Bar:
    """A bound for Layercake's median of `key`: itself, or its ratio to that of the server named `against`."""

    key: str
    at_most: float | None = None
    at_least: float | None = None
    against: str | None = None

    def value(self, samples: Samples) -> float | None:
        """Return what is held against the bound, None if it was not measured."""
        ours = middle(next(iter(samples.values())), self.key)
        if self.against is None or ours is None:
            return ours
        theirs = middle(samples.get(self.against, []), self.key)
        return ours / theirs if theirs else None

    def is_met(self, value: float) -> bool:
        """Return whether `value` keeps the bound."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`run` does one round against a server that is running, on documents that nobody has touched.

    It raises AssertionError if the round does not count: something was not delivered, or the load generator was the
    bottleneck.
    """

    name: str
    title: str
    claim: str
    """In one sentence: what is done, and what is measured."""
    figures: tuple[Figure, ...]
    bars: tuple[Bar, ...]
    peers: tuple[StartPeer, ...]
    """Layercake first."""
    run: Callable[[Peer], Awaitable[Sample]]
    rounds: int = 5
    is_quick: bool = False
    """Whether `make bench-quick` has it too."""


def middle(rounds: list[Sample], key: str) -> float | None:
    """Return the median of the rounds that have `key`, None if none has."""
    values = [sample[key] for sample in rounds if key in sample]
    return median(values) if values else None
