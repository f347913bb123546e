"""What was measured as one page that needs nothing else: numbers, plots, the questions that failed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from app.evaluation.measures import MEASURES
from app.evaluation.retrieval import Evaluation, Measured

_WORST = 50
_DEPTH = 10
_MISSED = "not found"

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}svg{display:block;margin:1rem 0}td,th{text-align:left;"
    "padding:.25rem .75rem .25rem 0;vertical-align:top}text{font:13px system-ui,sans-serif;"
    "fill:currentColor}rect{fill:#2563eb}rect.earlier{fill:#94a3b8}"
    "@media(prefers-color-scheme:dark){body{color:#e5e5e5;background:#171717}}"
)


def page(title: str, evaluation: Evaluation, earlier: Mapping[str, float]) -> str:
    """HTML in full: plots are inline SVG, and nothing is loaded from anywhere."""
    ranks = Counter(_rank(question) for question in evaluation.questions)
    names = [*map(str, range(1, _DEPTH + 1)), f"after {_DEPTH}", _MISSED]
    count = len(evaluation.questions)
    shares = [(name, ranks[name] / count, None) for name in names]
    measures = [(name, evaluation.metrics[name], earlier.get(name)) for name in MEASURES]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{count} questions.{' Grey: the earlier measurement.' if earlier else ''}</p>"
        f"<h2>Measures</h2>{_bars('Measures', measures)}"
        f"<h2>Rank of the first document that answers</h2>{_bars('Share of questions by rank', shares)}"
        f"<h2>Questions that fared worst</h2>{_table(_worst(evaluation.questions))}</body></html>\n"
    )


def _rank(question: Measured) -> str:
    for rank, key in enumerate(question.found, 1):
        if key in question.relevant:
            return str(rank) if rank <= _DEPTH else f"after {_DEPTH}"
    return _MISSED


def _worst(questions: Sequence[Measured]) -> list[Measured]:
    """Those below the ideal, the worst first."""
    failed = [question for question in questions if question.metrics[MEASURES[0]] < 1]
    return sorted(failed, key=lambda question: question.metrics[MEASURES[0]])[:_WORST]


def _bars(label: str, rows: Sequence[tuple[str, float, float | None]]) -> str:
    """Horizontal bars of values in [0, 1], with those of an earlier measurement below."""
    parts: list[str] = []
    y = 0
    for name, value, before in rows:
        parts.append(f'<text x="0" y="{y + 15}">{escape(name)}</text>')
        parts.append(f'<rect x="110" y="{y + 3}" width="{500 * value:.1f}" height="16"/>')
        parts.append(f'<text x="{118 + 500 * value:.1f}" y="{y + 15}">{value:.3f}</text>')
        y += 24
        if before is not None:
            parts.append(
                f'<rect class="earlier" x="110" y="{y - 4}" width="{500 * before:.1f}" height="6"/>'
            )
            y += 8
    return f'<svg role="img" aria-label="{label}" viewBox="0 0 680 {y}">{"".join(parts)}</svg>'


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
