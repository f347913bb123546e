"""The domain's values: what Ibid stores and returns. No technology is imported here."""

import re
from datetime import datetime
from html import escape
from typing import Annotated, Any, Literal, Self, cast
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from storage.errors import Forbidden, redact_for_clients
from storage.shapes import Metadata, Span

_MARKER = re.compile(r"(?<!\\)\[(\d+)\]")


class Value(BaseModel):
    """An immutable value; two values are equal if their fields are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Right = Literal["ask", "ingest", "admin"]
Role = Literal["reader", "editor", "admin"]

RIGHTS: dict[Role, frozenset[Right]] = {
    "reader": frozenset({"ask"}),
    "editor": frozenset({"ask", "ingest"}),
    "admin": frozenset({"ask", "ingest", "admin"}),
}


class Principal(Value):
    """The user who acts, with their rights and the groups that give them access to corpora."""

    name: str
    """The user's name at the identity provider; `key:NAME` for an API key, `local` on this machine."""
    rights: frozenset[Right] = frozenset()
    groups: frozenset[str] = frozenset()

    @property
    def readers(self) -> list[str]:
        """The entries in a corpus's list of readers that admit this principal."""
        return [f"user:{self.name}", *(f"group:{group}" for group in sorted(self.groups))]

    @property
    def is_admin(self) -> bool:
        """Whether the principal may see every corpus, and file paths on the server."""
        return "admin" in self.rights

    def require(self, right: Right) -> None:
        """Raise `Forbidden` if the principal lacks the right."""
        if right not in self.rights:
            raise Forbidden(
                f"This needs the right {right!r}, which {self.name or 'an anonymous user'!r} does not have."
            )


LOCAL = Principal(name="local", rights=RIGHTS["admin"])
"""The user of this machine: the command line, a notebook, or a server without sign-in."""
ANONYMOUS = Principal(name="")
"""A user who did not sign in: can see no corpus and owns nothing."""


class Edition(Value):
    """The part of a corpus that is searched together: one version of its docs, in one language."""

    corpus: str
    version: str | None = None
    """The version's name on its site; None for pages that have only one version."""
    locale: str | None = None

    @property
    def key(self) -> str:
        """The string that identifies the edition in the index and in SQL."""
        return "\n".join((self.corpus, self.version or "", self.locale or ""))

    @classmethod
    def from_key(cls, key: str) -> Self:
        """Return the edition that a key identifies."""
        corpus, version, locale = key.split("\n")
        return cls(corpus=corpus, version=version or None, locale=locale or None)


LOCAL_PROVIDER = "local"
"""The provider of the local embedding."""
PYTHON_PROVIDER = "python"
"""The provider of an embedding that was given to `open_services` as an object."""
_FIRST_LOCAL_MODEL = "wordllama/l2_supercat_256"
"""The only local model of the versions that stored fingerprints without a provider."""


class Fingerprint(Value):
    """The settings that make two indexes incompatible if they differ; stored with each release."""

    reader: str
    """Identifies how bytes become canonical text."""
    splitter: str
    """Identifies how canonical text is split into passages."""
    provider: str
    """The name of the embedding's provider, such as `local` or `cohere`."""
    embedding: str
    """The model's name, as its vendor spells it."""
    dimension: int
    """Length of the dense vectors."""
    embedding_type: Literal["float", "int8"] = "float"
    """The number type of the dense vectors, where the vendor offers a choice."""
    fields: str
    """Identifies the fields of the payload and how keywords are counted."""
    on_disk: bool = False
    quantized: bool = False

    @model_validator(mode="before")
    @classmethod
    def _add_provider(cls, data: Any) -> Any:
        """Read a fingerprint of a version that knew two providers and stored only the model's name."""
        if not isinstance(data, dict) or "provider" in data:
            return cast("Any", data)
        fields = cast("dict[str, Any]", data)
        is_local = fields.get("embedding") == _FIRST_LOCAL_MODEL
        return {**fields, "provider": LOCAL_PROVIDER if is_local else "cohere"}

    @property
    def is_local(self) -> bool:
        """Whether the local embedding made the vectors."""
        return self.provider == LOCAL_PROVIDER

    def shares_vectors(self, other: "Fingerprint") -> bool:
        """Return whether vectors of one index can be used in the other."""
        changed = self.differences(other)
        return not {"provider", "embedding", "dimension", "embedding_type"}.intersection(changed)

    def differences(self, other: "Fingerprint") -> list[str]:
        """Return the names of the fields that differ."""
        return [name for name, value in self if getattr(other, name) != value]


class Calibration(Value):
    """Typical scores, in one corpus and release, of a question if a page contains half of its words."""

    method: int
    """The version of the measuring method; results of different methods cannot be compared."""
    nearness: float
    """Similarity in words and meaning, plus how much the best passage stands out from the others."""
    bm25: float = Field(gt=0)
    """BM25 score of the best passage, per word of the question."""
    measured_at: datetime


class Calibrations(Value):
    """The calibrations of one corpus."""

    by_release: dict[str, Calibration]


class SourceVersion(Value):
    """One version of a source, as a release holds it."""

    version: int
    digest: str
    """Hash of the bytes and of everything else that determines the page's address."""
    title: str
    url: str
    passages: int
    root: str | None
    docs_version: str | None = None
    locale: str | None = None


class Passage(Value):
    """A contiguous span of one version of a source: the unit that is indexed and cited.

    `start` and `end` count characters of the source's canonical text: `text == canonical[start:end]`.
    """

    id: UUID
    source_id: UUID
    corpus: str
    version: int
    ordinal: int
    title: str
    section: tuple[str, ...]
    page: int | None = None
    url: str
    text: str
    start: int
    end: int
    docs_version: str | None = None
    """The version of the docs that the page describes, if the layout of the docs gives it."""
    locale: str | None = None
    """The language of the page, if the layout of the docs gives it."""
    code: tuple[Span, ...] = ()
    """Spans of canonical text inside this passage that are code, not prose."""
    metadata: Metadata = Field(default_factory=dict)
    score: float | None = None
    """Fused relevance to the query, in [0, 1]; 1 means best in both rankings."""
    similarity: float | None = None
    """Cosine similarity to the query, if the dense ranking found the passage."""
    bm25: float | None = None
    """BM25 score, if the sparse ranking found the passage."""

    @property
    def edition(self) -> Edition:
        """The edition that the passage belongs to."""
        return Edition(corpus=self.corpus, version=self.docs_version, locale=self.locale)

    @staticmethod
    def make_id(source_id: UUID, version: int, ordinal: int) -> UUID:
        """Return the passage's id. It depends only on the arguments, so a retry creates no duplicate."""
        return uuid5(source_id, f"{version}/{ordinal}")


Verdict = Literal["supported", "partial", "unsupported", "unchecked"]


class Citation(Value):
    """The exact words of a source that support a claim: `quote == canonical[start:end]`."""

    n: int
    """The footnote's number in the answer."""
    source_id: UUID
    source_version: int
    passage_id: UUID
    title: str
    section: tuple[str, ...]
    page: int | None = None
    url: str
    quote: str
    start: int
    end: int
    metadata: Metadata = Field(default_factory=dict)


class Claim(Value):
    """One sentence of an answer that can be true or false; its span is in the answer's text."""

    text: str
    start: int
    end: int
    citations: tuple[Citation, ...] = ()
    verdict: Verdict = "unchecked"
    score: float | None = None
    flags: tuple[str, ...] = ()
    """`uncited`; `verbatim`: repeats a source without quotation marks; `withheld`: removed, with its text;
    `not_peer_reviewed`: cites no source known to be peer-reviewed, in a corpus that prefers those."""


class CitedSource(Value):
    """A source that an answer cites; listed once, even if it is cited several times."""

    id: UUID
    version: int
    title: str
    url: str


class NearestSection(Value):
    """The section of a corpus that comes closest to a question that the corpus does not answer."""

    source_id: UUID
    passage_id: UUID
    title: str
    section: tuple[str, ...]
    url: str


AbstentionReason = Literal["nothing_relevant", "not_supported", "out_of_scope"]


class Abstention(Value):
    """The reason why a question was declined, and the sections to read instead."""

    reason: AbstentionReason
    nearest: tuple[NearestSection, ...] = ()


class Usage(Value):
    """The cost of an answer, as the model's server counts it; zero for the extractive model."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = 0.0
    """In US dollars; None if the model's server does not report it."""


class Attempt(Value):
    """A failed attempt to get an answer from a model, and its error without the server's address."""

    model: str
    error: Annotated[str, AfterValidator(redact_for_clients)]
    cost: float | None = 0.0
    """In US dollars; None if the model had begun to answer and reported no cost."""


class Rewriting(Value):
    """The model call that rewrote a follow-up question as a self-contained question."""

    model: str
    usage: Usage = Usage()


class Answer(Value):
    """The answer to a question, stored exactly as it was given, so that every interface shows the same."""

    id: UUID
    conversation_id: UUID
    message_id: UUID
    status: Literal["answered", "abstained"]
    finish: Literal["stop", "length"] = "stop"
    text: str
    """Markdown; `[n]` outside code is always the number of a footnote."""
    claims: tuple[Claim, ...] = ()
    sources: tuple[CitedSource, ...] = ()
    abstention: Abstention | None = None
    model: str | None = None
    """The model that wrote the answer, as its server names it.

    It differs from the model that was asked first if that one failed.
    """
    generation: str | None = None
    """The id of the answer at the model's server."""
    attempts: tuple[Attempt, ...] = ()
    release: str | None = None
    usage: Usage = Usage()
    rewriting: Rewriting | None = None
    """Its cost is not included in `usage`; it is also set if the question was declined."""

    @property
    def citations(self) -> list[Citation]:
        """Every footnote once, ordered by number."""
        by_number = {citation.n: citation for claim in self.claims for citation in claim.citations}
        return [by_number[n] for n in sorted(by_number)]

    @property
    def source_ids(self) -> set[UUID]:
        """The ids of all sources that the answer mentions."""
        nearest = self.abstention.nearest if self.abstention else ()
        return {
            *(citation.source_id for citation in self.citations),
            *(source.id for source in self.sources),
            *(near.source_id for near in nearest),
        }

    def _repr_html_(self) -> str:
        """Return HTML for notebooks: markers link to footnotes, and footnotes link to the source."""
        text = _MARKER.sub(r'<sup><a href="#ibid-\1">[\1]</a></sup>', escape(self.text))
        notes = "".join(
            f'<li id="ibid-{c.n}" value="{c.n}"><a href="{escape(c.url)}">'
            f"{escape(' › '.join(c.section))}</a><blockquote>{escape(c.quote)}</blockquote></li>"
            for c in self.citations
        )
        return f'<div style="white-space: pre-wrap">{text}</div><ol>{notes}</ol>'
