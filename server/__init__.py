"""The composition root: settings, commands, HTTP routes, logs and metrics."""
