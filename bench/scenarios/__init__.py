"""The scenarios of the benchmark, a module for each subject, in the order in which they are run and shown."""

MODULES = ("live", "observers", "ceiling", "presence", "fairness", "stalled")
