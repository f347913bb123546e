"""Measures answers and refusals on questions whose answers are known."""

import csv
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from app.chat.events import Completed, Retrieved
from app.chat.turn_engine import Turn, TurnEngine
from app.corpora.service import CorpusService
from app.evaluation.claims import balanced_accuracy
from app.retrieval.search import NO_FILTER
from pipelines.ingestion.sentences import split_sentences
from storage.domain import Answer, Citation, Passage, Value
from storage.errors import InvalidInput
from storage.index.bm25.encoder import content_terms
from storage.json_parsing import parse_json

_PAGE = re.compile(r"#page=\d+\Z")


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question with its known answer; `relevant` holds the ids of the documents that answer it."""

    id: str
    text: str
    answerable: bool
    answer: str
    relevant: frozenset[str]


class AnswerEvaluation(Value):
    """The results: `metrics` by name; `confusion` counts answered and declined questions of each kind."""

    metrics: dict[str, float]
    confusion: dict[str, dict[str, int]]
    questions: int


@dataclass(slots=True)
class _MetricSums:
    sums: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, value: float) -> None:
        self.sums.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        return {name: round(sum(v) / len(v), 4) for name, v in self.sums.items()}


def read_questions(folder: Path) -> list[KnownQuestion]:
    """Read the questions of a set; raise `InvalidInput` for missing or malformed input, with its line."""
    relevant: dict[str, set[str]] = {}
    qrels = folder / "qrels" / "test.tsv"
    for line in csv.reader(_lines(qrels)[1:], delimiter="\t", quoting=csv.QUOTE_NONE):
        if len(line) == 3 and line[2].strip() not in {"", "0"}:  # noqa: PLR2004 - query, document, score
            relevant.setdefault(line[0], set()).add(line[1])
    questions: list[KnownQuestion] = []
    for number, line in enumerate(_lines(folder / "queries.jsonl"), 1):
        try:
            row: dict[str, Any] = parse_json(line)
            known: dict[str, Any] = row.get("metadata") or {}
            key = str(row["_id"])
            found = frozenset(relevant.get(key, ()))
            answerable = bool(known.get("answerable", found))
            answer = str(known.get("answer") or "")
            questions.append(KnownQuestion(key, str(row["text"]), answerable, answer, found))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(
                f"{folder / 'queries.jsonl'}, line {number}: not a question with `_id` and `text`."
            ) from error
    if not questions:
        raise InvalidInput(f"{folder} has no questions.")
    return questions


def write_documents(folder: Path, scratch: Path) -> list[Path]:
    """Return the paths to ingest: the set's own files if its ids are pages of them, else newly written ones.

    Written files hold one document each.
    """
    rows = _documents(folder)
    names = {_PAGE.sub("", key) for key, _ in rows if _PAGE.search(key)}
    files = [path for path in sorted(folder.rglob("*")) if path.name in names]
    if files:
        return files
    scratch.mkdir(parents=True, exist_ok=True)
    for number, (_, text) in enumerate(rows):
        (scratch / f"{number}.txt").write_text(text, encoding="utf-8")
    return [scratch]


def build_document_namer(folder: Path) -> Callable[[Citation], str]:
    """Return a function that gives the id of the document that a citation is from."""
    ids = [key for key, _ in _documents(folder)]
    paged = any(_PAGE.search(key) for key in ids)

    def name(citation: Citation) -> str:
        file = unquote(citation.url.partition("#")[0].rpartition("/")[2])
        if paged:
            return f"{file}#page={citation.page}"
        return ids[int(file.removesuffix(".txt"))]

    return name


async def evaluate_answers(
    engine: TurnEngine,
    library: CorpusService,
    corpora: Sequence[str],
    questions: Sequence[KnownQuestion],
    name: Callable[[Citation], str],
    progress: Callable[[int, int], None] | None = None,
) -> AnswerEvaluation:
    """Ask every question once, in a separate conversation, and measure the answers."""
    scope = await engine.search.scope(corpora, NO_FILTER)
    language = min(scope.languages)
    tally, answered = _MetricSums(), list[bool]()
    for number, question in enumerate(questions, 1):
        started = time.perf_counter()
        answer, passages = await _answer_question(engine, Turn(question.text, scope))
        tally.add("milliseconds", 1_000 * (time.perf_counter() - started))
        answered.append(answer.status == "answered")
        if answer.status == "answered":
            await _measure_support(tally, library, answer)
        if answer.status == "answered" and question.answerable:
            cited = [name(citation) for citation in answer.citations]
            _measure_citations(tally, question, cited)
            _measure_coverage(tally, question, answer, passages, language)
        if progress:
            progress(number, len(questions))
    truth = [question.answerable for question in questions]
    return AnswerEvaluation(
        metrics={
            "balanced_accuracy": round(balanced_accuracy(truth, answered), 4),
            **tally.means(),
        },
        confusion=_confusion(truth, answered),
        questions=len(questions),
    )


async def _answer_question(engine: TurnEngine, turn: Turn) -> tuple[Answer, Sequence[Passage]]:
    """Ask one question; return the answer and the passages that it was written from, best first."""
    passages: Sequence[Passage] = ()
    async for event in engine.stream(turn):
        if isinstance(event, Retrieved):
            passages = event.passages
        if isinstance(event, Completed):
            return event.answer, passages
    raise AssertionError("a turn ends with `Completed` or raises")


async def _measure_support(tally: _MetricSums, library: CorpusService, answer: Answer) -> None:
    """Measure what needs no known answer: whether quotes are exact and claims are supported."""
    for citation in answer.citations:
        text = (await library.text(citation.source_id, citation.source_version)).text
        tally.add("quote_exactness", text[citation.start : citation.end] == citation.quote)
    for claim in answer.claims:
        if claim.verdict != "unchecked":
            tally.add("claims_supported", claim.verdict == "supported")


def _measure_citations(tally: _MetricSums, question: KnownQuestion, cited: Sequence[str]) -> None:
    """Compare the cited documents with the relevant ones."""
    if question.relevant and cited:
        right = question.relevant.intersection(cited)
        tally.add("citation_precision", sum(c in right for c in cited) / len(cited))
        tally.add("citation_recall", len(right) / len(question.relevant))
        tally.add("first_citation_exact", cited[0] in question.relevant)


def _measure_coverage(
    tally: _MetricSums,
    question: KnownQuestion,
    answer: Answer,
    passages: Sequence[Passage],
    language: str,
) -> None:
    """Measure the share of the known answer's terms in this answer, and in a baseline of the same length."""
    expected_terms = (
        content_terms(question.answer, language) if question.answer else frozenset[int]()
    )
    if expected_terms:
        lead = _lead_baseline(passages, sum(len(claim.text) for claim in answer.claims))
        tally.add(
            "answer_coverage",
            len(expected_terms & content_terms(answer.text, language)) / len(expected_terms),
        )
        tally.add(
            "lead_coverage",
            len(expected_terms & content_terms(lead, language)) / len(expected_terms),
        )


def _lead_baseline(passages: Sequence[Passage], length: int) -> str:
    """Return the baseline: the beginning of the best passages, up to `length` characters."""
    texts = (
        passage.text[slice(*span)] for passage in passages for span in split_sentences(passage.text)
    )
    return " ".join(texts)[:length]


def _confusion(truth: Sequence[bool], predicted: Sequence[bool]) -> dict[str, dict[str, int]]:
    counts: Mapping[bool, dict[str, int]] = {
        True: {"answered": 0, "declined": 0},
        False: {"answered": 0, "declined": 0},
    }
    for answerable, answered in zip(truth, predicted, strict=True):
        counts[answerable]["answered" if answered else "declined"] += 1
    return {"answerable": counts[True], "unanswerable": counts[False]}


def _documents(folder: Path) -> list[tuple[str, str]]:
    """Return the ids of the documents, and their texts with titles."""
    found: list[tuple[str, str]] = []
    for number, line in enumerate(_lines(folder / "corpus.jsonl"), 1):
        try:
            row: dict[str, Any] = parse_json(line)
            found.append((str(row["_id"]), f"{row.get('title') or ''}\n\n{row['text']}"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(
                f"{folder / 'corpus.jsonl'}, line {number}: not a document with `_id` and `text`."
            ) from error
    return found


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from error
