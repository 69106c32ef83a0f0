"""`python -m bench.micro [--keep]`: measure, and compare with `baseline.json`; exit with 1 if something is slower.

Figures are in parts of a calibration loop that ran in the same process. What differs by less than three times the
larger interquartile range, or by less than a tenth, is taken for noise.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
CALIBRATION = "bench_calibration"
_RANGES, _SHARE = 3, 0.1


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of one benchmark and the interquartile range of its rounds."""

    median: float
    spread: float

    def verdict(self, kept: "Figure | None") -> str:
        """Return "slower" or "faster" if it differs from what was kept by more than noise; else ""."""
        if kept is None:
            return "new"
        noise = max(_RANGES * max(self.spread, kept.spread), _SHARE * kept.median)
        if abs(self.median - kept.median) <= noise:
            return ""
        return "slower" if self.median > kept.median else "faster"


def measure() -> dict[str, Figure]:
    """Run all benchmarks and return their figures by name."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["-q", "-p", "no:cacheprovider", "-o", "python_files=bench_*.py", "-o", "python_functions=bench_*"]
        code = pytest.main([*options, "--benchmark-disable-gc", f"--benchmark-json={report}", str(HERE)])
        if code:
            sys.exit(int(code))
        measured = json.loads(report.read_text())["benchmarks"]
    return in_calibrations({one["name"]: one["stats"] for one in measured})


def in_calibrations(stats: dict[str, dict[str, Any]]) -> dict[str, Figure]:
    """Return the figures in parts of the calibration loop's median."""
    unit_s = stats[CALIBRATION]["median"]
    return {
        name: Figure(one["median"] / unit_s, one["iqr"] / unit_s) for name, one in stats.items() if name != CALIBRATION
    }


def kept_figures() -> dict[str, Figure]:
    """Return what was kept; nothing if nothing was."""
    if not BASELINE.exists():
        return {}
    return {name: Figure(**one) for name, one in json.loads(BASELINE.read_text()).items()}


def keep(measured: dict[str, Figure]) -> None:
    """Write what was measured for later runs to be compared with."""
    rounded = {name: {key: round(value, 5) for key, value in asdict(one).items()} for name, one in measured.items()}
    BASELINE.write_text(json.dumps(rounded, indent=1, sort_keys=True) + "\n")


def main() -> None:
    """Measure, show, and keep or compare."""
    asked = argparse.ArgumentParser(prog="python -m bench.micro", description=__doc__)
    asked.add_argument("--keep", action="store_true", help="rewrite the baseline")
    options = asked.parse_args()
    measured, kept = measure(), kept_figures()
    verdicts = {name: one.verdict(kept.get(name)) for name, one in measured.items()}
    shown = Table("in calibration loops", "median", "spread", "kept", "")
    for name, one in measured.items():
        before = f"{kept[name].median:.4f}" if name in kept else "-"
        shown.add_row(escape(name), f"{one.median:.4f}", f"{one.spread:.4f}", before, verdicts[name])
    Console().print(shown)
    if options.keep:
        keep(measured)
    elif "slower" in verdicts.values():
        sys.exit(1)


if __name__ == "__main__":
    main()
