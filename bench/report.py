"""`python -m bench.report`: make docs/benchmarks.md and its plots of what the last runs measured."""

from html import escape
from pathlib import Path

from bench.notes import NOTES
from bench.results import FOLDER, Result, saved, scenarios, table, verdicts
from bench.scenario import COMPARED_WITH, Figure, Scenario, middle

DOCS = Path("docs")
PLOTS = "benchmarks"

_INTRODUCTION = """\
# Benchmarks

Layercake, which commits every update to PostgreSQL before it calls it saved, next to other Yjs servers as their
documentation starts them. All numbers are medians of rounds that were run in turn (A B C A B C …), each on new
documents, after a round of each server that is not counted. This page is made of the samples by
`python -m bench.report`; what is measured, and how, is told in [bench/README.md](../bench/README.md).

To repeat it: `make bench` on a machine with nothing else to do (about two hours), `make bench ONLY="ceiling stalled"`
for some of it, `make bench-quick` for two minutes.

- *CPU* is user and system time. A server's is that of all its processes; PostgreSQL's is counted apart. The others have
  no database here: what they hold is in memory, and is gone with the process.
- *Acknowledged* is, for Layercake, committed: the echo of message 102. Hocuspocus's SyncStatus says that it has applied
  the update in memory. The others never say.
- The *ratio* is Layercake's median to that of y-websocket 2.1.0, with its range over rounds next to each other.
"""

_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2328}.bar{fill:#9aa4af}.ours{fill:#0b6bcb}"
    ".bound{stroke:#c2410c;stroke-dasharray:4 3}@media(prefers-color-scheme:dark){"
    "text{fill:#e6edf3}.bar{fill:#6e7681}.ours{fill:#58a6ff}.bound{stroke:#fb923c}}"
)
_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 720, 190, 150, 28, 34
_CUT_AT = 4
"""How many times the larger of what is compared a bar may be long."""


def page(results: list[tuple[Scenario, Result]]) -> str:
    """Return the whole page in Markdown."""
    return "\n".join([_INTRODUCTION, *(section(scenario, result) for scenario, result in results)])


def unmeasured(missing: list[Scenario]) -> str:
    """Return what the page has no figures of, empty if there is none."""
    if not missing:
        return ""
    lines = [f"- `{scenario.name}`: {scenario.title}" for scenario in missing]
    return "\n".join(["\n## Not measured for this page", "", *lines, ""])


def section(scenario: Scenario, result: Result) -> str:
    """Return one scenario's claim, bars, plot, table and machine."""
    left_out = [f"{name} {reason}." for name, reason in result.left_out.items()]
    parts = [
        f"## {scenario.title}",
        scenario.claim,
        *_bars(scenario, result),
        f"![{scenario.title}: {plotted(scenario).label}, {plotted(scenario).unit}]({PLOTS}/{scenario.name}.svg)",
        _markdown(table(scenario, result)),
        *left_out,
        f"Scenario `{scenario.name}`, {_rounds(result.rounds)}. {result.measured_on}.",
    ]
    return "\n\n".join(parts) + "\n"


def _rounds(number: int) -> str:
    return "one round" if number == 1 else f"medians of {number} rounds"


def _bars(scenario: Scenario, result: Result) -> list[str]:
    held = verdicts(scenario, result)
    if not held:
        return []
    marks = {True: "met", False: "**missed**", None: "open"}
    lines = "\n".join(f"- {marks[verdict.is_met]}: {verdict.words}" for verdict in held)
    is_missed = any(verdict.is_met is False for verdict in held)
    return [lines, NOTES[scenario.name]] if is_missed and scenario.name in NOTES else [lines]


def _markdown(rows: list[list[str]]) -> str:
    heading, *others = ("| " + " | ".join(row) + " |" for row in rows)
    rule = "|---|" + "---:|" * (len(rows[0]) - 1)
    return "\n".join((heading, rule, *others))


def plotted(scenario: Scenario) -> Figure:
    """Return the figure that a plot shows: that of the first bar, or the first."""
    key = scenario.bars[0].key if scenario.bars else scenario.figures[0].key
    return next(figure for figure in scenario.figures if figure.key == key)


def plot(scenario: Scenario, result: Result) -> str:
    """Return an SVG with a bar for each server and, where there is one, a line at the bound."""
    figure = plotted(scenario)
    values = {name: middle(rounds, figure.key) for name, rounds in result.samples.items()}
    bound = _bound(scenario, values)
    longest = _longest(values, bound)
    scale = (_WIDTH - _LEFT - _RIGHT) / longest
    shown = [_plotted_bar(number, name, value, figure, scale) for number, (name, value) in enumerate(values.items())]
    missing = [
        _words(len(values) + number, name, reason) for number, (name, reason) in enumerate(result.left_out.items())
    ]
    height = _TOP + _ROW * (len(values) + len(missing)) + 8
    line = [] if bound is None else [_line(_LEFT + bound * scale, height)]
    title = f'<text x="0" y="18">{escape(figure.label)}, {escape(figure.unit)}</text>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
    named = f"<title>{escape(scenario.title)}</title><style>{_STYLE}</style>"
    return "\n".join((head, named, title, *shown, *missing, *line, "</svg>")) + "\n"


def _longest(values: dict[str, float | None], bound: float | None) -> float:
    """What fills the width: the largest, unless it would make what is compared too short to tell apart."""
    compared = [value for value in (next(iter(values.values())), values.get(COMPARED_WITH), bound) if value]
    largest = max((value for value in (*values.values(), bound) if value is not None), default=0)
    return min(largest, _CUT_AT * max(compared, default=largest)) or 1


def _bound(scenario: Scenario, values: dict[str, float | None]) -> float | None:
    """The bound in the figure's own unit."""
    if not scenario.bars:
        return None
    bar = scenario.bars[0]
    bound = bar.at_most if bar.at_most is not None else bar.at_least
    against = 1.0 if bar.against is None else values.get(bar.against)
    return None if bound is None or against is None else bound * against


def _plotted_bar(number: int, name: str, value: float | None, figure: Figure, scale: float) -> str:
    y, whole = _TOP + _ROW * number, (value or 0) * scale
    width = min(whole, _WIDTH - _LEFT - _RIGHT)
    kind = "bar" if number else "bar ours"
    words = "–" if value is None else f"{value:,.{figure.digits}f}" + (" (bar cut)" if whole > width + 1 else "")
    return (
        f'<text x="0" y="{y + 15}">{escape(name)}</text>'
        f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="20" rx="3"/>'
        f'<text x="{_LEFT + width + 8:.1f}" y="{y + 15}">{words}</text>'
    )


def _words(number: int, name: str, reason: str) -> str:
    y = _TOP + _ROW * number + 15
    return f'<text x="0" y="{y}">{escape(name)}</text><text x="{_LEFT}" y="{y}">{escape(reason)}</text>'


def _line(x: float, height: int) -> str:
    return (
        f'<line class="bound" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{height - 4}"><title>the bar</title></line>'
    )


def main() -> None:
    """Write the page and the plots."""
    results = saved(FOLDER)
    (DOCS / PLOTS).mkdir(exist_ok=True)
    for scenario, result in results:
        (DOCS / PLOTS / f"{scenario.name}.svg").write_text(plot(scenario, result))
    missing = [scenario for scenario in scenarios() if scenario not in [measured for measured, _ in results]]
    (DOCS / "benchmarks.md").write_text(page(results) + unmeasured(missing))


if __name__ == "__main__":
    main()
