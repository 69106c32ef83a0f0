"""Write the table of settings in docs/operations.md anew: `python scripts/settings_table.py`."""

from pathlib import Path

from server.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "operations.md"
START, END = "<!-- the table is made by scripts/settings_table.py -->\n", "<!-- end of the table -->"
_UNITS = {"_per_s": "1/s", "_s": "s", "_bytes": "bytes", "_days": "days"}
_STEPS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def table() -> str:
    """Return every setting with its default, its unit and what it means."""
    rows = [
        f"| `LAYERCAKE_{name.upper()}` | {_default(name, field.default)} | {_unit(name)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return "".join(("| Variable | Default | Unit | Meaning |\n", "|---|---|---|---|\n", *rows))


def _default(name: str, value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and name.endswith("_bytes"):
        return next((f"{value} ({value / step:g} {unit})" for step, unit in _STEPS if value % step == 0), str(value))
    return f"{value:g}" if isinstance(value, int | float) else f"`{value}`"


def _unit(name: str) -> str:
    return next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), "")


def main() -> None:
    """Replace the table between the two marks."""
    before, _, rest = PAGE.read_text().partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + START + table() + END + after)


if __name__ == "__main__":
    main()
