"""Measurements: ``python -m benchmarks`` says which."""
