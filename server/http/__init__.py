"""The HTTP interface: one module per entity, and one that turns every error into a problem."""
