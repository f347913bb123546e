"""A report of an evaluation as one self-contained page: measures, plots, and the worst questions."""

from collections import Counter
from collections.abc import Mapping, Sequence

from app.evaluation.measures import MEASURES
from app.evaluation.plots import BarRow, Chart, chart, report_templates
from app.evaluation.retrieval import Evaluation, QuestionResult

_WORST = 50
_DEPTH = 10
_MISSED = "not found"


def build_report(title: str, evaluation: Evaluation, earlier: Mapping[str, float]) -> str:
    """Build a whole HTML page that also shows the earlier measures."""
    ranks = Counter(_rank(question) for question in evaluation.questions)
    names = [*map(str, range(1, _DEPTH + 1)), f"after {_DEPTH}", _MISSED]
    count = len(evaluation.questions)
    shares = [(name, ranks[name] / count, None) for name in names]
    measures = [(name, evaluation.metrics[name], earlier.get(name)) for name in MEASURES]
    return (
        report_templates()
        .get_template("report.html")
        .render(
            title=title,
            evaluation=evaluation,
            earlier=earlier,
            measures=_chart("Measures", measures),
            ranks=_chart("Share of questions by rank", shares),
            measure=MEASURES[0],
            worst=_worst(evaluation.questions),
        )
    )


def _rank(question: QuestionResult) -> str:
    for rank, key in enumerate(question.found, 1):
        if key in question.relevant:
            return str(rank) if rank <= _DEPTH else f"after {_DEPTH}"
    return _MISSED


def _worst(questions: Sequence[QuestionResult]) -> list[QuestionResult]:
    """Return the questions below the ideal, worst first."""
    failed = [question for question in questions if question.metrics[MEASURES[0]] < 1]
    return sorted(failed, key=lambda question: question.metrics[MEASURES[0]])[:_WORST]


def _chart(label: str, rows: Sequence[BarRow]) -> Chart:
    return chart(label, rows, 1.0, "{:.3f}".format)
