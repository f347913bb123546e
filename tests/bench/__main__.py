"""Run the benchmarks: `uv run --group dev python -m tests.bench [NAME ...] [OPTION ...]`."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console

from app.settings import Settings
from tests.bench import (
    alongside,
    capacity,
    cold,
    conversations,
    counts,
    cpu,
    first_token,
    growth,
    idle,
    ingest,
    loop,
    machine,
    peers,
    reading,
    report,
    reviewed,
    search,
    turn,
    users,
)
from tests.bench.baseline import compare
from tests.bench.figures import Result, as_json, show
from tests.bench.homes import Options

Bench = Callable[[Options], Awaitable[Result]]
BENCHES: dict[str, Bench] = {
    "counts": counts.run,
    "cpu": cpu.run,
    "ingest": ingest.run,
    "reading": reading.run,
    "growth": growth.run,
    "search": search.run,
    "cold": cold.run,
    "turn": turn.run,
    "alongside": alongside.run,
    "first_token": first_token.run,
    "conversations": conversations.run,
    "users": users.run,
    "capacity": capacity.run,
    "loop": loop.run,
    "idle": idle.run,
    "peers": peers.run,
    "reviewed": reviewed.run,
}
COMPARED = ("counts", "cpu")
"""The benchmarks that `--against` always runs: counts, which fail, and CPU ratios, which warn."""


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks; return 1 if a count exceeds its record.

    Without `--against`, also return 1 if another figure exceeds its limit.
    """
    given = _parser().parse_args(arguments)
    before = given.against and given.against.read_text(encoding="utf-8")
    names = [*dict.fromkeys([*COMPARED, *given.names])] if before else given.names or [*BENCHES]
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)
    about = machine.describe()
    progress, output = (
        Console(stderr=True, style="dim"),
        Console(width=None if sys.stdout.isatty() else 110),
    )
    if not given.json:
        output.print(machine.format_machine(about), highlight=False)
    results: list[Result] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="ibid-bench-") as scratch:
            options = Options(
                scratch=Path(scratch),
                passages=given.passages,
                folder=given.folder and given.folder.resolve(),
                rounds=given.rounds,
                record=given.record,
                say=lambda text, name=name: progress.print(f"{name}: {text}"),
            )
            results.append(asyncio.run(BENCHES[name](options)))
        if not given.json:
            show(results[-1], output)
    if given.json:
        sys.stdout.write(as_json(about, results) + "\n")
    if given.report:
        given.report.write_text(
            report.build_report(machine.format_machine(about), results), encoding="utf-8"
        )
    if before:
        progress.print(compare(results, before).to_text(), highlight=False)
    over = [figure for result in results for figure in result.figures if figure.verdict == "over"]
    return int(any(figure.exact or not before for figure in over))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all of them"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="what --json wrote before: run `counts`, which fail, and `cpu` and those named, which warn",
    )
    parser.add_argument("--record", action="store_true", help="counts: replace the recorded counts")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a page with plots")
    parser.add_argument("--passages", type=int, help="size of the generated corpus")
    parser.add_argument(
        "--folder",
        type=Path,
        help="ingest, reading: real pages instead of generated ones; reviewed: a golden set",
    )
    parser.add_argument("--rounds", type=int, help="repetitions")
    return parser


if __name__ == "__main__":
    sys.exit(main())
