"""The nouns: what Ibid knows and says. No technology is imported here."""

import re
from datetime import datetime
from html import escape
from typing import Annotated, Literal, Self
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from storage.errors import Forbidden, for_clients
from storage.shapes import Metadata, Span

_MARKER = re.compile(r"(?<!\\)\[(\d+)\]")


class Value(BaseModel):
    """An immutable value; equal when its fields are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Right = Literal["ask", "ingest", "admin"]
Role = Literal["reader", "editor", "admin"]

RIGHTS: dict[Role, frozenset[Right]] = {
    "reader": frozenset({"ask"}),
    "editor": frozenset({"ask", "ingest"}),
    "admin": frozenset({"ask", "ingest", "admin"}),
}


class Principal(Value):
    """Who acts: one user, what they may do, and the groups through which corpora open to them."""

    name: str
    """What the issuer calls the user; `key:NAME` for an API key, `local` on this machine."""
    rights: frozenset[Right] = frozenset()
    groups: frozenset[str] = frozenset()

    @property
    def readers(self) -> list[str]:
        """All that a corpus may list to let this principal in."""
        return [f"user:{self.name}", *(f"group:{group}" for group in sorted(self.groups))]

    @property
    def is_admin(self) -> bool:
        """Who sees every corpus, and where files lie on the server."""
        return "admin" in self.rights

    def require(self, right: Right) -> None:
        """Raises `Forbidden`."""
        if right not in self.rights:
            raise Forbidden(
                f"This needs the right {right!r}, which {self.name or 'nobody'!r} lacks."
            )


LOCAL = Principal(name="local", rights=RIGHTS["admin"])
"""Whoever sits at this machine: the command line, a notebook, a server without sign-in."""
STRANGER = Principal(name="")
"""Who did not sign in: sees no corpus and owns nothing."""


class Edition(Value):
    """What of a corpus is read together: one version of its docs, in one language."""

    corpus: str
    version: str | None = None
    """As its site names it; None for pages of which there is but one."""
    locale: str | None = None

    @property
    def key(self) -> str:
        """What the index and SQL know it by."""
        return "\n".join((self.corpus, self.version or "", self.locale or ""))

    @classmethod
    def of(cls, key: str) -> Self:
        """The one that is known by the key."""
        corpus, version, locale = key.split("\n")
        return cls(corpus=corpus, version=version or None, locale=locale or None)


class Fingerprint(Value):
    """What makes two indexes incompatible; it travels with a release."""

    reader: str
    """Of how bytes become canonical text."""
    splitter: str
    """Of how canonical text becomes passages."""
    embedding: str
    """The model's name, as its vendor spells it."""
    dimension: int
    """Length of the dense vectors."""
    embedding_type: Literal["float", "int8"] = "float"
    """In what numbers the embedding gives them, where its vendor leaves a choice."""
    fields: str
    """Of the payload and of how keywords are counted."""
    on_disk: bool = False
    quantized: bool = False

    def shares_vectors(self, other: "Fingerprint") -> bool:
        """Whether a vector of one means the same in the other."""
        changed = self.differences(other)
        return not {"embedding", "dimension", "embedding_type"}.intersection(changed)

    def differences(self, other: "Fingerprint") -> list[str]:
        """Names of the parts in which another one differs."""
        return [name for name, value in self if getattr(other, name) != value]


class Calibration(Value):
    """What a question gets, in one corpus and release, of which a page has half the words."""

    method: int
    """Of how it was measured: what was measured otherwise cannot be compared."""
    nearness: float
    """By words and meaning, and by how much the best passage stands out."""
    bm25: float = Field(gt=0)
    """Of the best passage, for each word of the question."""
    measured_at: datetime


class Calibrations(Value):
    """Those of one corpus."""

    by_release: dict[str, Calibration]


class SourceVersion(Value):
    """One version of a source as a release holds it."""

    version: int
    digest: str
    """Hash of the bytes, and of all else the page's address is made from."""
    title: str
    url: str
    passages: int
    root: str | None
    docs_version: str | None = None
    locale: str | None = None


class Passage(Value):
    """A contiguous span of one version of a source: what is indexed and cited.

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
    """Which version of the docs the page describes, where their layout says so."""
    locale: str | None = None
    """The language of the page, where the layout says so."""
    code: tuple[Span, ...] = ()
    """Spans of canonical text inside this passage that are code, not prose."""
    metadata: Metadata = Field(default_factory=dict)
    score: float | None = None
    """Fused relevance in [0, 1] to the query it was found by; 1 is best in both rankings."""
    similarity: float | None = None
    """Cosine to the query, when the dense ranking found it."""
    bm25: float | None = None
    """BM25 score, when the sparse ranking found it."""

    @property
    def edition(self) -> Edition:
        """What it is read together with."""
        return Edition(corpus=self.corpus, version=self.docs_version, locale=self.locale)

    @staticmethod
    def identify(source_id: UUID, version: int, ordinal: int) -> UUID:
        """The same passage of a version always has the same id: a retry never doubles it."""
        return uuid5(source_id, f"{version}/{ordinal}")


Verdict = Literal["supported", "partial", "unsupported", "unchecked"]


class Citation(Value):
    """Exact words of a source that a claim rests on: `quote == canonical[start:end]`."""

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
    """One sentence of an answer that can be true or false; its span lies in the answer's text."""

    text: str
    start: int
    end: int
    citations: tuple[Citation, ...] = ()
    verdict: Verdict = "unchecked"
    score: float | None = None
    flags: tuple[str, ...] = ()
    """`uncited`; `verbatim`: repeats a source unquoted; `withheld`: left out, its text too;
    `not_peer_reviewed`: no source of it is known to be, in a corpus that asks for that."""


class CitedSource(Value):
    """A source an answer rests on, once however often it is cited."""

    id: UUID
    version: int
    title: str
    url: str


class NearestSection(Value):
    """Where the corpus comes closest to a question that it does not answer."""

    source_id: UUID
    passage_id: UUID
    title: str
    section: tuple[str, ...]
    url: str


Reason = Literal["nothing_relevant", "not_supported", "out_of_scope"]


class Abstention(Value):
    """Why a question was declined, and where to look instead."""

    reason: Reason
    nearest: tuple[NearestSection, ...] = ()


class Usage(Value):
    """What an answer cost at the model's end, as the model counts it; zero for the extractive one."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = 0.0
    """In US dollars; None when the model's server does not say."""


class Attempt(Value):
    """A model that was tried for an answer in vain, and why; readers are not told where it is."""

    model: str
    error: Annotated[str, AfterValidator(for_clients)]
    cost: float | None = 0.0
    """In US dollars; None when it had begun to answer and never said."""


class Rewriting(Value):
    """The call by which a model made a question whole that leaned on earlier ones."""

    model: str
    usage: Usage = Usage()


class Answer(Value):
    """What was said to a question, kept exactly as it was given: the same on every surface."""

    id: UUID
    conversation_id: UUID
    message_id: UUID
    status: Literal["answered", "abstained"]
    finish: Literal["stop", "length"] = "stop"
    text: str
    """Markdown; `[n]` outside code always is a footnote's number."""
    claims: tuple[Claim, ...] = ()
    sources: tuple[CitedSource, ...] = ()
    abstention: Abstention | None = None
    model: str | None = None
    """Which model wrote it, as its server says; another than was asked first when that one failed."""
    generation: str | None = None
    """By which id the model's server knows it."""
    attempts: tuple[Attempt, ...] = ()
    release: str | None = None
    usage: Usage = Usage()
    rewriting: Rewriting | None = None
    """Paid for besides `usage`, and also when the question was declined."""

    @property
    def citations(self) -> list[Citation]:
        """Every footnote once, in the order of its number."""
        by_number = {citation.n: citation for claim in self.claims for citation in claim.citations}
        return [by_number[n] for n in sorted(by_number)]

    @property
    def source_ids(self) -> set[UUID]:
        """Every source that it tells something of."""
        nearest = self.abstention.nearest if self.abstention else ()
        return {
            *(citation.source_id for citation in self.citations),
            *(source.id for source in self.sources),
            *(near.source_id for near in nearest),
        }

    def _repr_html_(self) -> str:
        """How a notebook shows it: markers lead to footnotes, footnotes to the source."""
        text = _MARKER.sub(r'<sup><a href="#ibid-\1">[\1]</a></sup>', escape(self.text))
        notes = "".join(
            f'<li id="ibid-{c.n}" value="{c.n}"><a href="{escape(c.url)}">'
            f"{escape(' › '.join(c.section))}</a><blockquote>{escape(c.quote)}</blockquote></li>"
            for c in self.citations
        )
        return f'<div style="white-space: pre-wrap">{text}</div><ol>{notes}</ol>'
