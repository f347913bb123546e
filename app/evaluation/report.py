"""A report of an evaluation as one self-contained page: measures, plots, and the worst questions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from app.evaluation.measures import MEASURES
from app.evaluation.plots import Row, bars, document
from app.evaluation.retrieval import Evaluation, Measured

_WORST = 50
_DEPTH = 10
_MISSED = "not found"


def page(title: str, evaluation: Evaluation, earlier: Mapping[str, float]) -> str:
    """Build a whole HTML page that also shows the earlier measures."""
    ranks = Counter(_rank(question) for question in evaluation.questions)
    names = [*map(str, range(1, _DEPTH + 1)), f"after {_DEPTH}", _MISSED]
    count = len(evaluation.questions)
    shares = [(name, ranks[name] / count, None) for name in names]
    measures = [(name, evaluation.metrics[name], earlier.get(name)) for name in MEASURES]
    return document(
        title,
        f"<p>{count} questions.{' Grey: the earlier measurement.' if earlier else ''}</p>"
        f"<h2>Measures</h2>{_bars('Measures', measures)}"
        f"<h2>Rank of the first document that answers</h2>{_bars('Share of questions by rank', shares)}"
        f"<h2>Questions that fared worst</h2>{_table(_worst(evaluation.questions))}",
    )


def _rank(question: Measured) -> str:
    for rank, key in enumerate(question.found, 1):
        if key in question.relevant:
            return str(rank) if rank <= _DEPTH else f"after {_DEPTH}"
    return _MISSED


def _worst(questions: Sequence[Measured]) -> list[Measured]:
    """Return the questions below the ideal, worst first."""
    failed = [question for question in questions if question.metrics[MEASURES[0]] < 1]
    return sorted(failed, key=lambda question: question.metrics[MEASURES[0]])[:_WORST]


def _bars(label: str, rows: Sequence[Row]) -> str:
    return bars(label, rows, 1.0, "{:.3f}".format)


def _table(questions: Sequence[Measured]) -> str:
    rows = "".join(
        f"<tr><td>{question.metrics[MEASURES[0]]:.2f}</td><td>{escape(question.query)}</td>"
        f"<td>{'<br>'.join(map(escape, question.relevant))}</td>"
        f"<td>{'<br>'.join(map(escape, question.found[:3]))}</td></tr>"
        for question in questions
    )
    return (
        f"<table><thead><tr><th>{MEASURES[0]}</th><th>Searched</th><th>Answered by</th>"
        f"<th>Found first</th></tr></thead><tbody>{rows}</tbody></table>"
    )
