"""Answers and refusals measured on a set in BEIR's layout, from ingestion to figures."""

import json
from pathlib import Path

import pytest

from app.evaluation.answers import (
    build_document_namer,
    evaluate_answers,
    read_questions,
    write_documents,
)
from app.settings import Settings
from app.wiring import open_services
from storage.errors import InvalidInput

DOCUMENTS = {
    "fuel": "The lamp burns 2.4 litres of paraffin an hour. The tank is filled every morning.",
    "horn": "The foghorn gives one blast of four seconds every minute in fog.",
    "log": "Every watch ends with an entry in the logbook, which names the weather.",
    "tide": "High water comes about fifty minutes later each day at the landing.",
}
QUESTIONS = (
    (
        "q1",
        "How many litres of paraffin does the lamp burn?",
        "It burns 2.4 litres an hour.",
        "fuel",
    ),
    ("q2", "How long is a blast of the foghorn?", "Four seconds every minute.", "horn"),
    ("q3", "Who won the chess championship in Reykjavik?", "", None),
)


def write_set(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": key, "title": key.title(), "text": t} for key, t in DOCUMENTS.items()]
    queries = [
        {"_id": key, "text": text, "metadata": {"answerable": bool(doc), "answer": answer}}
        for key, text, answer, doc in QUESTIONS
    ]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    judged = "".join(f"{key}\t{doc}\t1\n" for key, *_, doc in QUESTIONS if doc)
    (folder / "qrels/test.tsv").write_text(
        f"query-id\tcorpus-id\tscore\n{judged}", encoding="utf-8"
    )
    return folder


async def test_a_set_is_asked_from_beginning_to_end(tmp_path: Path, settings: Settings) -> None:
    folder = write_set(tmp_path / "set")
    questions = read_questions(folder)
    async with open_services(settings) as services:
        await services.ingestion.run(write_documents(folder, tmp_path / "documents"), "known")
        found = await evaluate_answers(
            services.turns.engine,
            services.library,
            ["known"],
            questions,
            build_document_namer(folder),
        )
    assert found.confusion == {
        "answerable": {"answered": 2, "declined": 0},
        "unanswerable": {"answered": 0, "declined": 1},
    }
    assert found.metrics["balanced_accuracy"] == 1.0
    assert found.metrics["quote_exactness"] == found.metrics["claims_supported"] == 1.0
    assert found.metrics["first_citation_exact"] == found.metrics["citation_recall"] == 1.0
    assert found.metrics["answer_coverage"] > 0.7
    assert 0 < found.metrics["lead_coverage"] <= 1


@pytest.mark.parametrize("broken", ["queries.jsonl", "qrels/test.tsv"])
def test_a_set_with_a_part_missing_is_refused(tmp_path: Path, broken: str) -> None:
    folder = write_set(tmp_path / "set")
    (folder / broken).unlink()
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_questions(folder)


def test_a_line_that_is_no_question_is_named(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    with (folder / "queries.jsonl").open("a") as file:
        file.write('{"text": 1}\n')
    with pytest.raises(InvalidInput, match="line 4"):
        read_questions(folder)


def test_a_line_that_is_no_document_is_named(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    with (folder / "corpus.jsonl").open("a") as file:
        file.write("[]\n")
    with pytest.raises(InvalidInput, match="line 5"):
        write_documents(folder, tmp_path / "documents")
