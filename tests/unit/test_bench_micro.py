"""Micro benchmarks are compared with what was kept, beyond what they spread."""

import pytest

from bench.micro.__main__ import Figure, in_calibrations


@pytest.mark.parametrize(
    ("median", "spread", "verdict"),
    [
        (1.0, 0.01, ""),
        (1.09, 0.01, ""),
        (1.11, 0.01, "slower"),
        (0.89, 0.01, "faster"),
        (1.2, 0.1, ""),
        (1.4, 0.1, "slower"),
    ],
    ids=["the same", "within a tenth", "beyond it", "faster beyond it", "within its spread", "beyond its spread"],
)
def test_what_differs_beyond_the_spread_and_a_tenth_is_told(median: float, spread: float, verdict: str) -> None:
    assert Figure(median, spread).verdict(Figure(1.0, 0.01)) == verdict


def test_the_spread_that_was_kept_counts_as_well() -> None:
    assert Figure(1.2, 0.0).verdict(Figure(1.0, 0.1)) == ""


def test_what_was_not_kept_is_new() -> None:
    assert Figure(1.0, 0.1).verdict(None) == "new"


def test_figures_are_in_parts_of_the_calibration_loop() -> None:
    stats = {"bench_calibration": {"median": 0.5, "iqr": 0.1}, "bench_walk": {"median": 2.0, "iqr": 0.25}}
    assert in_calibrations(stats) == {"bench_walk": Figure(4.0, 0.5)}
