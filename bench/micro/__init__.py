"""Micro benchmarks of the parts of the sync path, compared with figures that were kept."""
