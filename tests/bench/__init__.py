"""Benchmarks, run by hand: `uv run --group dev python -m tests.bench [NAME ...] [OPTION ...]`.

Most benchmarks compare two things in one run, because a ratio depends less on the machine than a time.
"""
