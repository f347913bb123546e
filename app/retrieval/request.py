"""A search request: what is searched for, where, and how many passages are returned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from storage.errors import InvalidInput

MAX_QUERY_LENGTH = 4_000
MAX_PASSAGES = 100


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search for the best `limit` passages of a query."""

    query: str
    corpora: Sequence[str] = ()
    """The corpora to search; empty for all that the user may read."""
    filter: Mapping[str, str] = field(default_factory=dict[str, str])
    """The documentation's `version` and `locale`. Default: the newest version, in the corpus's language."""
    limit: int = 10
    keywords: Mapping[str, float] | None = None
    """Texts with weights, whose words the keyword search uses instead of the query's own."""

    @classmethod
    def of(cls, given: "SearchRequest | str") -> "SearchRequest":
        """Return a validated request; a plain text is a query with the default options.

        Raises `InvalidInput` for a query that is empty or too long, and for a limit out of range.
        """
        request = cls(given) if isinstance(given, str) else given
        if not 1 <= request.limit <= MAX_PASSAGES:
            raise InvalidInput(
                f"The number of passages must be between 1 and {MAX_PASSAGES}, not {request.limit}."
            )
        return replace(request, query=validate_query(request.query))


def validate_query(text: str) -> str:
    """Return the text without surrounding white space; raise `InvalidInput` when empty or too long."""
    # Undecoded bytes from a terminal become surrogates, which no database accepts; some reject NUL too.
    stripped = text.strip().encode(errors="replace").decode().replace("\0", "\ufffd")
    if not stripped:
        raise InvalidInput("The question is empty.")
    if len(stripped) > MAX_QUERY_LENGTH:
        raise InvalidInput(
            f"The question has {len(stripped):,} characters; the maximum is {MAX_QUERY_LENGTH:,}."
        )
    return stripped
