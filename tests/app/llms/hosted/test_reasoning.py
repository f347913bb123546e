"""Thoughts in a model's text: found however the stream is cut; what only shows a tag is text."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.llms.hosted.reasoning import ThoughtFilter

SAID = "The lamp burns 2.4 litres [1]."
THOUGHTS = [
    f"<think>\nIt may be [2].\n</think>\n\n{SAID}",
    f"It may be [2].\n</think>\n\n{SAID}",
    f"It is `code` [2].</THINK>{SAID}",
    f"<Thought>It may be [2].</Thought>\n{SAID}",
    f"<thinking mode='deep'>It may be [2].</thinking>{SAID}",
    f"<thinking>It may be [2].</think>{SAID}",
    f"<think>One <reasoning>two</reasoning> three</think>{SAID}",
    f"<think>A closing `</think>` is meant, not made.</think>{SAID}",
    f"<think>It may be [2].</think><answer>{SAID}</answer>",
    f"<seed:think>It may be [2].</seed:think>{SAID}",
    f"<think/>{SAID}",
    f"[THINK]It may be [2].[/THINK]{SAID}",
    f"◁think▷It may be [2].◁/think▷{SAID}",
    f"<|begin_of_thought|>Hm [2]<|end_of_thought|><|begin_of_solution|>{SAID}<|end_of_solution|>",
    f"<|channel|>analysis<|message|>Hm [2]<|end|><|start|>assistant<|channel|>final<|message|>{SAID}",
    f"<|channel>thought\nIt may be [2].<channel|>{SAID}",
    f"{SAID}<think>Was that right? It may be [2].",
]
SHOWN = [
    f"Write `<think>` before it. {SAID}",
    f"Write ``<think>`a`</think>`` before it. {SAID}",
    f"```xml\n<think>\nHm\n</think>\n```\n{SAID}",
    f"Write \\<think> before it. {SAID}",
    f"`a\nb` <b>bold</b> [Think](x) [thoughts](y) {SAID}",
    f"Less than: 1 < 2, <a@b.example>, <https://thinking.example>. {SAID}",
    f"A list:\n\n- `</think>` closes\n- `<think>` opens. {SAID}",
]
PIECES = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "`",
            "``",
            "```",
            "\n",
            "\n\n",
            "a",
            " b [1]",
            "\\",
            "<",
            "<answer>",
        ]
    ),
    max_size=12,
).map("".join)


def filter_text(text: str, places: set[int], *, expected: bool = False) -> str:
    """The answer that is left of a text which comes in pieces."""
    thoughts, words = ThoughtFilter(expected=expected), ""
    cuts = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    for start, end in pairwise(cuts):
        delta = thoughts.feed(text[start:end])
        words = delta if thoughts.is_discarded else words + delta
    return words + thoughts.close()


@pytest.mark.parametrize("expected", [False, True])
@pytest.mark.parametrize("text", THOUGHTS)
def test_thoughts_are_left_out(text: str, expected: bool) -> None:
    for places in (set[int](), set(range(len(text)))):
        assert filter_text(text, places, expected=expected) == SAID


@pytest.mark.parametrize("text", SHOWN)
def test_a_tag_that_is_shown_is_text(text: str) -> None:
    for places in (set[int](), set(range(len(text)))):
        assert filter_text(text, places) == text


def test_a_backtick_that_nothing_closes_opens_no_code() -> None:
    assert (
        filter_text("The ` key.\n<think>Hm</think>It is there.", set())
        == "The ` key.\nIt is there."
    )
    assert (
        filter_text("The ` key <think>Hm\n\n` </think>It is there.", set())
        == "The ` key It is there."
    )


@given(PIECES, st.sets(st.integers(0, 200)), st.booleans())
def test_cuts_make_no_difference(text: str, places: set[int], expected: bool) -> None:
    assert filter_text(text, places, expected=expected) == filter_text(
        text, set(), expected=expected
    )


@given(PIECES.filter(lambda text: "think" not in text and "answer" not in text))
def test_a_text_without_thoughts_is_left_alone(text: str) -> None:
    assert filter_text(text, set(range(len(text)))) == text.lstrip()


def test_who_is_expected_to_think_first_and_does_not_has_answered() -> None:
    thoughts = ThoughtFilter(expected=True)
    assert thoughts.feed(SAID) == ""
    assert thoughts.is_open
    assert thoughts.close() == SAID
