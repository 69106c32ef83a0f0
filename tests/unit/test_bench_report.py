"""The page of figures says what the samples say, and what was missed."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.notes import NOTES
from bench.peers import Peer
from bench.report import page, plot, section
from bench.results import Result, scenarios, verdicts
from bench.scenario import COMPARED_WITH, Bar, Figure, Sample, Scenario


async def _never(peer: Peer) -> Sample:
    raise NotImplementedError


SCENARIO = Scenario(
    name="a-load",
    title="A load & its cost",
    claim="What an update costs.",
    figures=(Figure("cost_us", "CPU per update", "us"), Figure("saved_ms", "saved after", "ms")),
    bars=(Bar("cost_us", at_most=0.4, against=COMPARED_WITH), Bar("saved_ms", at_most=15)),
    peers=(),
    run=_never,
)
RESULT = Result(
    name="a-load",
    measured_on="Python 3.11, 2026-01-02",
    samples={
        "Layercake": [{"cost_us": 5, "saved_ms": 3}, {"cost_us": 6, "saved_ms": 4}, {"cost_us": 40, "saved_ms": 5}],
        COMPARED_WITH: [{"cost_us": 10}, {"cost_us": 12}, {"cost_us": 10}],
    },
    left_out={"another server": "did not keep up"},
)


def test_the_section_has_medians_the_ratio_with_its_range_and_the_bars() -> None:
    shown = section(SCENARIO, RESULT)
    assert "|  | Layercake | y-websocket 2.1.0 | ratio to y-websocket 2.1.0 |\n|---|---:|---:|---:|" in shown
    assert "| CPU per update, us | 6.0 | 10.0 | 0.60 (0.50 to 4.00) |" in shown
    assert "| saved after, ms | 4.0 | – | – |" in shown
    assert "- **missed**: CPU per update at most 0.4 × y-websocket 2.1.0: 0.60 ×" in shown
    assert "- met: saved after at most 15 ms: 4.0 ms" in shown
    assert "another server did not keep up." in shown
    assert "Python 3.11, 2026-01-02" in shown


def test_a_note_is_shown_only_while_a_bar_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NOTES, "a-load", "The walk takes half of it.")
    assert "The walk takes half of it." in section(SCENARIO, RESULT)
    fast = Result("a-load", "", {"Layercake": [{"cost_us": 1, "saved_ms": 1}], COMPARED_WITH: [{"cost_us": 10}]})
    assert "The walk takes half of it." not in section(SCENARIO, fast)


def test_a_bar_that_was_not_measured_is_neither_met_nor_missed() -> None:
    alone = Result("a-load", "", {"Layercake": [{"cost_us": 1, "saved_ms": 1}]})
    assert [verdict.is_met for verdict in verdicts(SCENARIO, alone)] == [None, True]


def test_the_plot_is_well_formed_and_has_a_bar_for_each_server() -> None:
    root = ElementTree.fromstring(plot(SCENARIO, RESULT))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.attrib["width"]) for bar in root.iter(f"{space}rect")]
    assert widths[0] / widths[1] == pytest.approx(0.6, abs=0.01)
    assert "prefers-color-scheme:dark" in "".join(root.itertext())
    assert "did not keep up" in "".join(root.itertext())


def test_a_result_is_read_back_and_makes_the_same_page(tmp_path: Path) -> None:
    RESULT.save(tmp_path)
    again = Result(**json.loads((tmp_path / "a-load.json").read_text()))
    assert page([(SCENARIO, again)]) == page([(SCENARIO, RESULT)])


def test_every_bar_is_held_against_a_figure_and_names_are_told_apart() -> None:
    found = list(scenarios())
    assert len({scenario.name for scenario in found}) == len(found)
    for scenario in found:
        assert {bar.key for bar in scenario.bars} <= {figure.key for figure in scenario.figures}
