"""Written by hand: why a scenario misses a bar, and the next idea. Shown only while it is missed."""

NOTES: dict[str, str] = {}
"""By the scenario's name, in whole sentences."""
