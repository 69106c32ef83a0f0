"""The scenarios of the benchmark, a module for each subject, in the order in which they are run and shown."""

MODULES = (
    "live",
    "spread",
    "ceiling",
    "observers",
    "presence",
    "joining",
    "idle",
    "visits",
    "stalled",
    "fairness",
    "recovery",
    "replay",
)
