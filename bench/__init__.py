"""Measurements against other servers, on one machine."""
