"""Plots as inline SVG on a self-contained HTML page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment

from app.templates import open_templates

BarRow = tuple[str, float, float | None]
"""A name, a value, and optionally a value to compare it with."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart. A bar without a name shows the value to compare the bar above it with."""

    y: int
    width: float
    name: str | None = None
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of horizontal bars. Lengths are in units of the SVG."""

    left: ClassVar[int] = 200
    longest: ClassVar[int] = 400
    width: ClassVar[int] = 680

    label: str
    bars: tuple[Bar, ...]
    height: int


def chart(label: str, rows: Sequence[BarRow], most: float, shown: Callable[[float], str]) -> Chart:
    """Return a chart of values from 0 to `most`, each with the compared value below it in grey."""
    bars: list[Bar] = []
    y = 0
    for name, value, other in rows:
        bars.append(Bar(y + 3, Chart.longest * value / most, name, shown(value)))
        y += 24
        if other is not None:
            bars.append(Bar(y - 4, Chart.longest * other / most))
            y += 8
    return Chart(label, tuple(bars), y)


def report_templates(*folders: Path) -> Environment:
    """Return the templates of reports. Templates in `folders` may extend `document.html`."""
    return open_templates(*folders, Path(__file__).parent / "templates")
