"""`ibid eval`: a golden set measured, made, compared and shown."""

import asyncio
import json
from pathlib import Path

import pytest

from app.evaluation.golden import read_golden
from app.evaluation.retrieval import mean_recall
from app.settings import Settings
from app.wiring import open_services
from tests.app.cli.commands import assert_refused, run_ibid
from tests.pipelines.pdfs import build_pdf, place_lines

DOCUMENTS = {
    "lamp": ("Lighting the lamp", "The lamp is lit thirty minutes before sunset."),
    "horn": ("", "One blast of four seconds <b>is given</b> every minute & no more."),
    "log": ("The logbook", "# The logbook\n\nA wrong entry is struck through once."),
    "nothing": ("", " "),
}
QUESTIONS = [
    {"_id": "1", "text": "When is the lamp lit?", "metadata": {"answerable": True}},
    {"_id": 2, "text": "How long is a blast?", "difficulty": 3},
    {
        "_id": "3",
        "text": "And then?",
        "metadata": {"user_turns": ["Is a wrong entry struck?", "And then?"]},
    },
    {"_id": "4", "text": "Who won the match?"},
]
QRELS = "query-id\tcorpus-id\tscore\n1\tlamp\t1\n2\thorn\t2\textra\n3\tlog\t1\n4\tlamp\t0\n"


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A set with documents that have no title, questions that have no answer, and columns of its own."""
    return write_set(tmp_path / "set", DOCUMENTS)


def write_set(folder: Path, documents: dict[str, tuple[str, str]]) -> Path:
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": key, "title": title, "text": text} for key, (title, text) in documents.items()]
    del rows[1]["title"]
    for name, lines in (("corpus.jsonl", rows), ("queries.jsonl", QUESTIONS)):
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "qrels/test.tsv").write_text(QRELS, encoding="utf-8")
    return folder


def test_a_set_is_measured_in_a_home_of_its_own(tmp_path: Path, golden: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    done = run_ibid(
        tmp_path / "home", "eval", "retrieval", golden, "--json", "--per-query", questions
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["questions"] == 3
    assert told["metrics"]["hit@1"] == told["metrics"]["ndcg@10"] == 1.0
    assert not (tmp_path / "home").exists()
    lines = [json.loads(line) for line in questions.read_text().splitlines()]
    assert [line["found"][0] for line in lines] == ["lamp", "horn", "log"]
    assert lines[2]["query"] == "And then?\nIs a wrong entry struck?"

    before = tmp_path / "before.json"
    before.write_text(json.dumps({"metrics": {"ndcg@10": 0.75}}))
    page = tmp_path / "page.html"
    done = run_ibid(tmp_path, "eval", "report", questions, "--against", before, "--out", page)
    assert done.exit_code == 0, done.output
    html = page.read_text()
    assert "3 questions" in html
    assert 'class="other" x="200" y="20" width="300.0"' in html
    assert "http" not in html, "it needs nothing from elsewhere"


def test_pages_of_a_pdf_are_documents(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", DOCUMENTS)
    (folder / "pdf").mkdir()
    (folder / "pdf/a manual.pdf").write_bytes(
        build_pdf(
            place_lines(["The lamp is lit thirty minutes before sunset."]),
            place_lines(["One blast lasts four seconds."]),
        )
    )
    (folder / "qrels/test.tsv").write_text("1\ta manual.pdf#page=1\t1\n2\ta manual.pdf#page=2\t1\n")
    done = run_ibid(tmp_path / "home", "eval", "retrieval", folder, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["metrics"]["hit@1"] == 1.0


def test_a_set_made_of_headings_is_measured_on_the_corpus_that_serves(
    home: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    done = run_ibid(home, "eval", "make", "default", "--out", made)
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (made / "queries.jsonl").read_text().splitlines()]
    assert all(row["metadata"] == {"generated": True} for row in rows)
    assert "Why the lens turns" in {row["text"] for row in rows}
    assert "Fuel" not in {row["text"] for row in rows}, "one word does not tell"
    assert_refused(run_ibid(home, "eval", "make", "default", "--out", made), "already")
    before = tmp_path / "before.json"
    measured = run_ibid(home, "eval", "retrieval", made, "--corpus", "default", "--json")
    before.write_text(measured.stdout)
    shown = run_ibid(home, "eval", "retrieval", made, "--corpus", "default", "--against", before)
    assert "recall@10   1.0000  +0.0000" in shown.stdout

    async def by_gate() -> float:
        async with open_services(Settings(ibid_home=home)) as services:
            return await mean_recall(services.search, read_golden(made), ["default"])

    assert asyncio.run(by_gate()) == 1.0


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("queries.jsonl", '{"_id": "1"}\nnonsense\n', "queries.jsonl, line 2"),
        ("queries.jsonl", '{"text": "?"}', "queries.jsonl, line 1"),
        ("queries.jsonl", "", "No question"),
        ("queries.jsonl", '{"_id": "1", "text": " "}', "empty"),
        ("qrels/test.tsv", "1\tlamp\n", "test.tsv, line 1"),
        ("qrels/test.tsv", b"\xff\xfe\x00", "not text in UTF-8"),
        ("corpus.jsonl", "[1]", "corpus.jsonl, line 1"),
        ("corpus.jsonl", None, "cannot be read"),
    ],
)
def test_a_set_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, golden: Path, name: str, content: str | bytes | None, told: str
) -> None:
    if content is None:
        (golden / name).unlink()
    else:
        (golden / name).write_bytes(content.encode() if isinstance(content, str) else content)
    assert_refused(run_ibid(tmp_path / "home", "eval", "retrieval", golden), told)


def test_what_was_not_written_by_ibid_is_refused(tmp_path: Path, golden: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("[]")
    refused = run_ibid(tmp_path, "eval", "retrieval", golden, "--against", other)
    assert_refused(refused, "not an output")
    assert_refused(run_ibid(tmp_path, "eval", "report", other), "not a file")
    assert_refused(run_ibid(tmp_path, "eval", "report", tmp_path / "none"), "No such file")
    assert_refused(run_ibid(tmp_path / "home", "eval", "make", "none"), "no corpus 'none'")
    unknown = run_ibid(tmp_path / "home", "eval", "retrieval", golden, "--language", "Klingon")
    assert_refused(unknown, "not a language code")
