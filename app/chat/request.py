"""A request for an answer, as every interface passes it to a turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.retrieval.request import validate_query
from app.verification.checker import Verify


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """How a question is answered."""

    corpora: Sequence[str] = ()
    """The corpora to search; empty for all that the user may read."""
    filter: Mapping[str, str] = field(default_factory=dict[str, str])
    """The documentation's `version` and `locale`. Default: the newest version, in the corpus's language."""
    verify: Verify | None = None
    """How claims are verified; None means the configured way."""

    def ask(self, question: str) -> "AnswerRequest":
        """Return a request with these options."""
        return AnswerRequest(question, corpora=self.corpora, filter=self.filter, verify=self.verify)


@dataclass(frozen=True, slots=True)
class AnswerRequest(TurnOptions):
    """A question, with how it is answered."""

    question: str

    @classmethod
    def of(cls, given: "AnswerRequest | str") -> "AnswerRequest":
        """Return a validated request; a plain text is a question with the default options.

        Raises `InvalidInput` for a question that is empty or too long.
        """
        request = cls(given) if isinstance(given, str) else given
        return replace(request, question=validate_query(request.question))
