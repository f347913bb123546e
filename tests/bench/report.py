"""An HTML page of the results: every figure, and plots of those that were measured at several sizes."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from app.evaluation.plots import Chart, chart, report_templates
from tests.bench.figures import Figure, Result, format_value


def build_report(machine: str, results: Sequence[Result]) -> str:
    """Return the complete HTML document."""
    sections = [
        (result, _charts(result), [_cells(each) for each in result.figures]) for result in results
    ]
    template = report_templates(Path(__file__).parent).get_template("report.html")
    return template.render(title="Benchmarks", machine=machine, sections=sections)


def _charts(result: Result) -> list[Chart]:
    """Return a chart of each group of figures named `SIZE: WHAT` that has at least two sizes."""
    found: dict[str, dict[str, Figure]] = defaultdict(dict)
    for figure in result.figures:
        size, colon, what = figure.name.partition(": ")
        if colon:
            found[what][size] = figure
    return [_chart(what, figures) for what, figures in found.items() if len(figures) > 1]


def _chart(what: str, figures: dict[str, Figure]) -> Chart:
    unit = next(iter(figures.values())).unit
    most = max(max(figure.value, figure.p95 or 0) for figure in figures.values())
    rows = [(size, max(figure.value, 0), figure.p95) for size, figure in figures.items()]
    return chart(what, rows, most or 1, lambda value: format_value(value, unit))


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        format_value(figure.value, figure.unit),
        "" if figure.p95 is None else format_value(figure.p95, figure.unit),
        "" if figure.limit is None else format_value(figure.limit, figure.unit),
        figure.verdict,
    )
