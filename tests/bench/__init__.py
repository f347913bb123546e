"""Benchmarks, run by hand: `uv run --group dev python -m tests.bench [NAME ...] [OPTION ...]`.

Most benchmarks compare two things in one run, because a ratio depends less on the machine than a time.

`counts` counts work, such as engine calls and SQL statements, instead of time. Its figures are the same in
every run, and a test compares them with `counts/recorded.json` whenever the tests run. A change that needs
more raises the record with `python -m tests.bench counts --record`, which prints each count that changed; the
commit says which call is new and why.

`--against FILE` compares with an earlier run: counts above their record fail, and slower times only warn.
"""
