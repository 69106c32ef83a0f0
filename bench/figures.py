"""Figures of rounds as tables: medians, one column per server."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

from rich.table import Table

T = TypeVar("T")


def table(title: str, outcomes: Mapping[str, Sequence[T]], figures: Mapping[str, Callable[[T], float | None]]) -> Table:
    """One row per figure; "-" where a server has none."""
    shown = Table(title=title)
    shown.add_column("")
    for name in outcomes:
        shown.add_column(name, justify="right")
    for label, figure in figures.items():
        shown.add_row(label, *(_shown(figure, of_peer) for of_peer in outcomes.values()))
    return shown


def _shown(figure: Callable[[T], float | None], outcomes: Sequence[T]) -> str:
    values = [value for outcome in outcomes if (value := figure(outcome)) is not None]
    return f"{median(values):.2f}" if values else "-"
