"""Results of benchmarks: figures with limits, as a table for people and as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table

from tests.bench.timing import Samples

Machine = dict[str, object]


@dataclass(frozen=True)
class Figure:
    """One measured value in `unit`; `limit` is a maximum."""

    name: str
    value: float
    unit: str = "ms"
    limit: float | None = None
    p95: float | None = None
    part: bool = False
    """Whether it is a detail of the figure above it, and shown indented."""
    exact: bool = False
    """Whether it is a count that is the same in every run; its limit is the recorded count."""

    @property
    def verdict(self) -> str:
        """`ok` or `over`, or an empty string if there is no limit."""
        if self.limit is None:
            return ""
        return "ok" if self.value <= self.limit else "over"

    @property
    def compares(self) -> bool:
        """Whether to compare it with a baseline: ratios and limited times. Counts have their own record."""
        return not self.exact and (self.unit in ("x", "%") or self.limit is not None)


@dataclass(frozen=True)
class Result:
    """All figures of one benchmark, and a description of what was measured."""

    bench: str
    about: str
    figures: list[Figure] = field(default_factory=list)

    def add(
        self, name: str, value: float, unit: str, limit: float | None = None, *, part: bool = False
    ) -> None:
        """Add a single value; its name must be unique in the benchmark."""
        self.figures.append(Figure(name, value, unit, limit, part=part))

    def add_count(self, name: str, value: int, limit: int) -> None:
        """Add a count that is the same in every run; one above its limit fails the run."""
        self.figures.append(Figure(name, value, "", limit, exact=True))

    def add_times(
        self, name: str, samples: Samples, limit: float | None = None, *, part: bool = False
    ) -> None:
        """Add a median and a 95th percentile in milliseconds; the limit applies to the median."""
        median, p95 = 1e3 * samples.median, 1e3 * samples.p95
        self.figures.append(Figure(name, median, "ms", limit, p95, part))


def as_json(machine: Machine, results: Sequence[Result]) -> str:
    """Return a JSON document: `{"machine", "benches": {name: {"about", "figures": [...]}}}`."""
    benches = {
        result.bench: {
            "about": result.about,
            "figures": [{**asdict(figure), "verdict": figure.verdict} for figure in result.figures],
        }
        for result in results
    }
    return json.dumps({"machine": machine, "benches": benches}, indent=2)


def show(result: Result, console: Console) -> None:
    """Print a table with one line per figure."""
    table = Table(
        min_width=78,
        title=f"{result.bench}: {result.about}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("figure")
    for column in ("median", "p95", "limit"):
        table.add_column(column, justify="right")
    table.add_column("")
    for figure in result.figures:
        colour = "red" if figure.verdict == "over" else "green"
        table.add_row(
            ("  " if figure.part else "") + figure.name,
            format_value(figure.value, figure.unit),
            "" if figure.p95 is None else f"{figure.p95:,.1f}",
            "" if figure.limit is None else format_value(figure.limit, ""),
            f"[{colour}]{figure.verdict}[/]",
        )
    console.print(table)


def format_value(value: float, unit: str) -> str:
    """Format a value with three significant digits, or as an integer from 1,000 on."""
    return (f"{value:.3g}" if value < 1e3 else f"{value:,.0f}") + f" {unit}".rstrip()
