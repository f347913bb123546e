"""What a bench says: figures against limits, as a table for people and as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table

from tests.bench.timing import Samples

Machine = dict[str, object]


@dataclass(frozen=True)
class Figure:
    """One measured value, in `unit`; higher is worse wherever there is a limit."""

    name: str
    value: float
    unit: str = "ms"
    limit: float | None = None
    p95: float | None = None
    part: bool = False
    """Of the figure above it; shown indented."""

    @property
    def verdict(self) -> str:
        """`ok` or `over` where there is a limit."""
        if self.limit is None:
            return ""
        return "ok" if self.value <= self.limit else "over"

    @property
    def compares(self) -> bool:
        """With a measurement elsewhere: a ratio does, and what is held to a limit anywhere."""
        return self.unit in ("x", "%") or self.limit is not None


@dataclass(frozen=True)
class Result:
    """All figures of one bench, and in words what they were measured on."""

    bench: str
    about: str
    figures: list[Figure] = field(default_factory=list)

    def add(
        self, name: str, value: float, unit: str, limit: float | None = None, *, part: bool = False
    ) -> None:
        """A figure without a spread; no other of this bench has its name."""
        self.figures.append(Figure(name, value, unit, limit, part=part))

    def add_times(
        self, name: str, samples: Samples, limit: float | None = None, *, part: bool = False
    ) -> None:
        """Median and 95th percentile, in milliseconds; the limit holds for the median."""
        median, p95 = 1e3 * samples.median, 1e3 * samples.p95
        self.figures.append(Figure(name, median, "ms", limit, p95, part))


def as_json(machine: Machine, results: Sequence[Result]) -> str:
    """One document: `{"machine", "benches": {name: {"about", "figures": [...]}}}`."""
    benches = {
        result.bench: {
            "about": result.about,
            "figures": [{**asdict(figure), "verdict": figure.verdict} for figure in result.figures],
        }
        for result in results
    }
    return json.dumps({"machine": machine, "benches": benches}, indent=2)


def show(result: Result, console: Console) -> None:
    """One table, one line a figure."""
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
            in_words(figure.value, figure.unit),
            "" if figure.p95 is None else f"{figure.p95:,.1f}",
            "" if figure.limit is None else f"{figure.limit:.3g}",
            f"[{colour}]{figure.verdict}[/]",
        )
    console.print(table)


def in_words(value: float, unit: str) -> str:
    """To three digits, or to the unit."""
    return (f"{value:.3g}" if value < 1e3 else f"{value:,.0f}") + f" {unit}".rstrip()
