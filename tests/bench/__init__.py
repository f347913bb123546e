"""Benchmarks, run by hand: `uv run --group dev python -m tests.bench [NAME ...] [OPTION ...]`.

Every bench compares two things in one run, since a machine's speed is nobody's fault but a ratio is.
"""
