"""An HTML page of the results: every figure, and plots of those that were measured at several sizes."""

from collections import defaultdict
from collections.abc import Sequence
from html import escape

from app.evaluation.plots import bars, document
from tests.bench.figures import Figure, Result, in_words


def page(machine: str, results: Sequence[Result]) -> str:
    """Return the complete HTML document."""
    about = f"<p>{escape(machine)}</p><p>Grey: the 95th percentile.</p>"
    return document("Benchmarks", about + "".join(map(_section, results)))


def _section(result: Result) -> str:
    plots = "".join(_plot(what, figures) for what, figures in _grown(result).items())
    return (
        f"<h2>{escape(result.bench)}</h2><p>{escape(result.about)}</p>{plots}"
        "<table><thead><tr><th>Figure</th><th>Median</th><th>95th percentile</th><th>Limit</th>"
        f"<th></th></tr></thead><tbody>{''.join(map(_row, result.figures))}</tbody></table>"
    )


def _grown(result: Result) -> dict[str, dict[str, Figure]]:
    """Return the figures named `SIZE: WHAT`, by WHAT and SIZE, if there are at least two sizes."""
    found: dict[str, dict[str, Figure]] = defaultdict(dict)
    for figure in result.figures:
        size, colon, what = figure.name.partition(": ")
        if colon:
            found[what][size] = figure
    return {what: figures for what, figures in found.items() if len(figures) > 1}


def _plot(what: str, figures: dict[str, Figure]) -> str:
    unit = next(iter(figures.values())).unit
    most = max(max(figure.value, figure.p95 or 0) for figure in figures.values())
    rows = [(size, max(figure.value, 0), figure.p95) for size, figure in figures.items()]
    shown = bars(what, rows, most or 1, lambda value: in_words(value, unit))
    return f"<h3>{escape(what)}</h3>{shown}"


def _row(figure: Figure) -> str:
    cells = (
        figure.name,
        in_words(figure.value, figure.unit),
        "" if figure.p95 is None else in_words(figure.p95, figure.unit),
        "" if figure.limit is None else in_words(figure.limit, figure.unit),
        figure.verdict,
    )
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
