"""The floor under which Ibid declines: words shared with one passage, and likeness of meaning."""

from datetime import UTC, datetime

import pytest

from app.retrieval.calibration import build_half_known_questions
from app.retrieval.relevance import METHOD, Relevance
from storage.domain import Calibration, Passage
from storage.embeddings.local import LocalEmbedding
from tests.app.chat.passages import PASSAGES, passage

WORDS = LocalEmbedding()


def is_answerable(query: str, passages: list[Passage], language: str) -> bool:
    return Relevance(embedding=WORDS).decline_reason(query, passages, language) is None


def passages_like(similarity: float | None) -> list[Passage]:
    """The section “Fuel”, that much like the question."""
    return [passage("Fuel").model_copy(update={"similarity": similarity})]


def test_a_passage_with_the_words_of_the_question_speaks_to_it() -> None:
    assert is_answerable("Why is the tank filled in the morning?", PASSAGES, "en")


def test_words_count_in_every_form() -> None:
    assert is_answerable("Do the lamps burn litres hourly?", passages_like(0.6), "en")


def test_the_words_above_a_passage_count_as_its_own() -> None:
    assert is_answerable("fuel manual", PASSAGES, "en")


def test_words_spread_over_passages_do_not_add_up() -> None:
    question = "Does a tank flash, blast and burn every compressor by hand?"
    assert not is_answerable(question, PASSAGES, "en")


@pytest.mark.parametrize("similarity", [None, 0.0, 0.2, 0.6])
def test_a_question_without_a_word_in_common_is_not_spoken_to(similarity: float | None) -> None:
    assert not is_answerable("Who won the chess championship?", passages_like(similarity), "en")


def test_fewer_words_will_do_where_the_meaning_is_close() -> None:
    question = "How thirsty is this lamp for kerosene?"
    assert not is_answerable(question, passages_like(0.1), "en")
    assert is_answerable(question, passages_like(0.9), "en")


def test_without_passages_nothing_is_spoken_to() -> None:
    assert not is_answerable("How many litres of paraffin does the lamp burn?", [], "en")
    assert not is_answerable("Why is it so?", [], "en")


@pytest.mark.parametrize(
    "said", ["???", "hello", "Yes.", "tell me more", "Why is it so?", "Ok, thanks!", "你好", "नमस्ते"]
)
def test_what_asks_about_nothing_is_declined(said: str) -> None:
    greeting = passage("Fuel").model_copy(update={"text": f"Say {said} to the keeper."})
    assert Relevance(embedding=WORDS).decline_reason(said, [greeting], "en") == "out_of_scope"


def test_words_are_told_apart_where_no_space_stands_between_them() -> None:
    chinese = passage("Fuel").model_copy(update={"text": "灯每小时燃烧二点四升煤油。"})
    assert is_answerable("灯每小时燃烧多少煤油?", [chinese], "zh")
    assert not is_answerable("谁赢得了国际象棋冠军?", [chinese], "zh")


def test_a_declined_question_says_how_far_off_it_is() -> None:
    relevance = Relevance(embedding=WORDS)
    assert (
        relevance.decline_reason("Who won the chess championship?", passages_like(0.0), "en")
        == "out_of_scope"
    )
    near = relevance.decline_reason(
        "Which paraffin heats the boat house?", passages_like(0.2), "en"
    )
    assert near == "nothing_relevant"
    assert relevance.decline_reason("Which paraffin?", [], "en") == "out_of_scope"


def test_strictness_moves_the_floor() -> None:
    question, passages = "How thirsty is this lamp for kerosene?", passages_like(0.75)
    told = [
        Relevance(strictness, WORDS).decline_reason(question, passages, "en") is None
        for strictness in (0.0, 0.5, 1.0)
    ]
    assert told == sorted(told, reverse=True)
    assert set(told) == {True, False}


def calibration(nearness: float, bm25: float, method: int = METHOD) -> Calibration:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    return Calibration(method=method, nearness=nearness, bm25=bm25, measured_at=began)


def test_what_is_enough_depends_on_what_the_corpus_gives_a_half_known_question() -> None:
    relevance = Relevance(embedding=WORDS)
    question, found = "Why is the tank filled in the morning?", passages_like(0.2)
    told = {
        nearness: relevance.decline_reason(question, found, "en", calibration(nearness, 1.0))
        is None
        for nearness in (0.6, 1.8)
    }
    assert told == {0.6: True, 1.8: False}


def test_words_that_are_rare_in_the_corpus_count_for_more() -> None:
    relevance = Relevance(embedding=WORDS)
    question = "Why is the tank filled in the morning?"
    told = [
        relevance.decline_reason(
            question,
            [passage("Fuel").model_copy(update={"similarity": 0.15, "bm25": bm25})],
            "en",
            calibration(1.05, 1.0),
        )
        is None
        for bm25 in (0.0, 30.0)
    ]
    assert told == [False, True]


def test_what_was_measured_by_another_method_says_nothing() -> None:
    relevance = Relevance(embedding=WORDS)
    question, found = "Why is the tank filled in the morning?", passages_like(0.6)
    assert relevance.decline_reason(question, found, "en", calibration(9.0, 1.0)) is not None
    assert (
        relevance.decline_reason(question, found, "en", calibration(9.0, 1.0, METHOD - 1)) is None
    )


def test_a_half_known_question_is_cut_from_the_middles_of_two_texts() -> None:
    texts = [
        "Short. The lamp burns paraffin all through the winter night. Done.",
        "灯塔每小时燃烧二点四升煤油并且每十秒闪光一次。",
    ]
    assert build_half_known_questions(texts) == [
        "burns paraffin all through the 烧二点四升煤油并且每",
        "烧二点四升煤油并且每 burns paraffin all through the",
    ]


def test_a_question_in_the_words_of_a_heading_is_answered_however_unlike_the_text() -> None:
    code = passage("Signal").model_copy(
        update={"section": ("The manual", "Relay wiring"), "text": "ctl.wire(4)", "similarity": 0.0}
    )
    assert is_answerable("How is the relay wired?", [code], "en")
    assert not is_answerable("How is the boiler wired?", [code], "en")
    assert not is_answerable("How is the relay wired to the boiler?", [code], "en")
