"""`ibid eval`: measure how well Ibid finds the answers to questions whose answers are known."""

import click

from app.cli.lazy_group import LazyGroup

_SECTIONS = {
    "Commands": {
        "retrieval": (
            "app.cli.evaluate_retrieval.retrieval",
            "Rank documents for questions with known answers.",
        ),
        "make": ("app.cli.evaluate_retrieval.make", "Write a golden set for a corpus."),
        "report": (
            "app.cli.evaluate_retrieval.report",
            "Write an HTML page with plots of a measurement.",
        ),
        "answers": ("app.cli.evaluate_answers.answers", "Answer questions with known answers."),
        "claims": ("app.cli.evaluate_answers.claims", "Verify claims with known verdicts."),
    }
}


@click.group("eval", cls=LazyGroup, sections=_SECTIONS)
def evaluate() -> None:
    """Measure retrieval, answers and verdicts on data sets with known answers."""
