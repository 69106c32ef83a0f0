"""Graphs computed from a plan, and the edits of people that are applied again when they are rebuilt."""
