"""What is searched for a follow-up: its own words, and those of the questions it leans on."""

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole

from app.chat.condensing.heuristic import condense, depends_on_history, keywords

LAMP = "How much paraffin does the lamp burn?"


def history(*questions: str) -> list[ChatMessage]:
    """Each question with an answer behind it."""
    return [
        message
        for question in questions
        for message in (
            ChatMessage(role=MessageRole.USER, content=question),
            ChatMessage(role=MessageRole.ASSISTANT, content="2.4 litres, and seagulls [1]."),
        )
    ]


@pytest.mark.parametrize(
    "question",
    [
        "Why?",
        "Why does it turn so slowly at night?",
        "And how is the foghorn powered in winter?",
        "What about the pressure of the compressor?",
        "How often must I refill them in a week?",
        "Tell me more about the clockwork motor",
        "…and then?",
        "",
    ],
)
def test_a_follow_up_brings_the_question_before_it(question: str) -> None:
    assert depends_on_history(question)
    assert condense(question, history(LAMP)) == f"{question}\n{LAMP}"


@pytest.mark.parametrize(
    "question",
    [
        "When does the foghorn sound in summer?",
        "Which lighthouse keeper writes the logbook?",
        "How are wrong entries in a logbook mended?",
        "Is a supply of paraffin kept at Skerry Point?",
    ],
)
def test_a_question_that_stands_by_itself_stays_alone(question: str) -> None:
    assert not depends_on_history(question)
    assert condense(question, history(LAMP)) == question


def test_without_a_history_there_is_nothing_to_lean_on() -> None:
    assert condense("Why?", []) == "Why?"


def test_it_goes_back_until_a_question_stands_by_itself() -> None:
    asked = history("When does the foghorn sound in summer?", LAMP, "And at night?")
    assert condense("Why?", asked) == f"Why?\nAnd at night?\n{LAMP}"


def test_it_does_not_go_back_for_ever() -> None:
    whys = [f"Why {number}?" for number in range(9)]
    assert condense("Why?", history(*whys)).splitlines() == ["Why?", *whys[:-4:-1]]


def test_only_what_the_user_said_is_searched() -> None:
    assert "seagulls" not in condense("Why?", history(LAMP))
    said = [ChatMessage(role=MessageRole.SYSTEM, content="Be brief about seagulls.")]
    assert condense("Why?", said) == "Why?"


def test_a_message_without_text_does_no_harm() -> None:
    assert condense("Why?", [ChatMessage(role=MessageRole.USER, content=None)]) == "Why?\n"


def test_words_of_earlier_questions_are_looked_for_ever_more_faintly() -> None:
    asked = history("Who paints the tower?", LAMP, "And at night?")
    heard = keywords("Why?", asked)
    assert list(heard) == ["Why?", "And at night?", LAMP, "Who paints the tower?"]
    assert list(heard.values()) == pytest.approx([1, 1 / 3, 1 / 9, 1 / 27])
    assert list(keywords("Why?", history("first", *"abc"))) == ["Why?", *"cba"]


def test_a_question_asked_twice_is_no_echo_of_itself() -> None:
    assert keywords(LAMP, history(LAMP)) == {LAMP: 1.0}
