"""Find gaps in the documentation from the questions that it could not answer."""

from collections.abc import Iterable

from storage.domain import Answer, Value

_MAX_QUESTIONS = 5


class Gap(Value):
    """A section near which questions were declined or answered with unsupported claims."""

    title: str
    section: tuple[str, ...]
    url: str
    declined: int
    unsupported: int
    """Number of answers with at least one unsupported claim."""
    questions: tuple[str, ...]
    """The latest of these questions."""

    @property
    def count(self) -> int:
        """The total number of such questions."""
        return self.declined + self.unsupported


def find_gaps(exchanges: Iterable[tuple[str, Answer]]) -> list[Gap]:
    """Return the gaps, largest first, from questions with their answers, latest first."""
    found: dict[tuple[str, tuple[str, ...]], Gap] = {}
    for question, answer in exchanges:
        declined = answer.status == "abstained"
        if not declined and all(claim.verdict != "unsupported" for claim in answer.claims):
            continue
        near = _nearest_gap(answer, question)
        key = (near.title, near.section)
        before = found.get(key, near)
        questions = dict.fromkeys((*before.questions, question))
        found[key] = before.model_copy(
            update={
                "declined": before.declined + declined,
                "unsupported": before.unsupported + (not declined),
                "questions": tuple(questions)[:_MAX_QUESTIONS],
            }
        )
    return sorted(found.values(), key=lambda gap: (-gap.count, gap.title, gap.section))


def _nearest_gap(answer: Answer, question: str) -> Gap:
    """Return a gap at the nearest or cited section.

    The section is empty for a question without any, such as one asked of an empty corpus; all such
    questions are grouped together.
    """
    nearest = answer.abstention.nearest if answer.abstention else ()
    cited = [
        c for claim in answer.claims if claim.verdict == "unsupported" for c in claim.citations
    ]
    at = next(iter((*nearest, *cited, *answer.citations)), None)
    return Gap(
        title=at.title if at else "",
        section=at.section if at else (),
        url=at.url.partition(":~:")[0].removesuffix("#") if at else "",
        declined=0,
        unsupported=0,
        questions=(question,),
    )
