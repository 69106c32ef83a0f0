"""What the last run of each scenario measured, kept as JSON, and what it says."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path

from bench.scenario import COMPARED_WITH, Bar, Figure, Sample, Scenario, middle
from bench.scenarios import MODULES

FOLDER = Path(".make/benchmarks")


@dataclass(frozen=True, slots=True)
class Result:
    """The samples of one run of a scenario."""

    name: str
    measured_on: str
    """Versions, processor and date."""
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    """By server, Layercake's first."""
    stores: dict[str, str] = field(default_factory=dict)
    """What each server keeps documents in."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Servers without samples, and why."""

    def save(self, folder: Path) -> None:
        """Replace what an earlier run of the same scenario measured."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n")

    @property
    def rounds(self) -> int:
        """How many rounds of each server were counted."""
        return len(next(iter(self.samples.values())))


def scenarios() -> Iterator[Scenario]:
    """Go over all scenarios in order."""
    for module in MODULES:
        yield from import_module(f"bench.scenarios.{module}").SCENARIOS


def saved(folder: Path) -> list[tuple[Scenario, Result]]:
    """Return what is kept in `folder`, in the order of the scenarios."""
    files = {scenario.name: (scenario, folder / f"{scenario.name}.json") for scenario in scenarios()}
    return [(scenario, Result(**json.loads(file.read_text()))) for scenario, file in files.values() if file.exists()]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar in words, and whether it was met; None if that was not measured."""

    words: str
    is_met: bool | None


def verdicts(scenario: Scenario, result: Result) -> list[Verdict]:
    """Hold the medians against the bars."""
    found = []
    for bar in scenario.bars:
        value = bar.value(result.samples)
        figure = next(one for one in scenario.figures if one.key == bar.key)
        measured = "not measured" if value is None else _value_in_words(bar, figure, value)
        found.append(
            Verdict(f"{figure.label} {_bound(bar, figure)}: {measured}", None if value is None else bar.is_met(value))
        )
    return found


def _bound(bar: Bar, figure: Figure) -> str:
    word, bound = ("at most", bar.at_most) if bar.at_most is not None else ("at least", bar.at_least)
    unit = f"× {bar.against}" if bar.against else figure.unit
    return f"{word} {bound:g} {unit}"


def _value_in_words(bar: Bar, figure: Figure, value: float) -> str:
    return f"{value:.2f} ×" if bar.against else f"{value:,.{figure.digits}f} {figure.unit}"


def table(scenario: Scenario, result: Result) -> list[list[str]]:
    """Return a heading and a row for each figure: medians, and how Layercake's compares."""
    heading = ["", *result.samples, f"ratio to {COMPARED_WITH}"]
    measured = {key for rounds in result.samples.values() for sample in rounds for key in sample}
    return [heading, *(_row(figure, result) for figure in scenario.figures if figure.key in measured)]


def _row(figure: Figure, result: Result) -> list[str]:
    middles = (middle(rounds, figure.key) for rounds in result.samples.values())
    shown = ["–" if value is None else f"{value:,.{figure.digits}f}" for value in middles]
    return [f"{figure.label}, {figure.unit}", *shown, _ratio(figure.key, result)]


def _ratio(key: str, result: Result) -> str:
    """How the medians compare, with the range over rounds that were run next to each other."""
    ours, theirs = next(iter(result.samples.values())), result.samples.get(COMPARED_WITH, [])
    ratio = Bar(key, against=COMPARED_WITH).value(result.samples)
    if ratio is None:
        return "–"
    pairs = zip(ours, theirs, strict=True)
    ratios = [one[key] / other[key] for one, other in pairs if key in one and other.get(key)]
    return f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
