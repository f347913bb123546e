"""Tests of splitting technical prose into sentences, in many scripts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingestion.sentences import split_sentences


def split(text: str, language: str = "en") -> list[str]:
    return [text[start:end] for start, end in split_sentences(text, language)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Light it. Is it lit? It is!", ["Light it.", "Is it lit?", "It is!"]),
        ("Use e.g. oil. See Dr. Fresnel.", ["Use e.g. oil.", "See Dr. Fresnel."]),
        ("Version 1.2.3 of node.js is out. Wait.", ["Version 1.2.3 of node.js is out.", "Wait."]),
        ("It costs $5. Then $10.", ["It costs $5.", "Then $10."]),
        ("点灯する。次に待つ！本当？", ["点灯する。", "次に待つ！", "本当？"]),
        ("दीपक जलाओ। फिर रुको।", ["दीपक जलाओ।", "फिर रुको।"]),
        ("أشعل المصباح. هل اشتعل؟ نعم.", ["أشعل المصباح.", "هل اشتعل؟", "نعم."]),
        ("  Spaces around.  \n\n  And here. ", ["Spaces around.", "And here."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_of_many_scripts(text: str, found: list[str]) -> None:
    assert split(text) == found


def test_a_line_is_the_end_of_a_sentence_and_a_bullet_no_part_of_one() -> None:
    text = "Heading\n\n- First item\n  - Inner one. And more.\n2. Second\nA | B\n1 | 2. 3"
    assert split(text) == [
        "Heading", "First item", "Inner one.", "And more.", "Second", "A | B", "1 | 2.", "3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sentence",
    [
        "Let $x. Y = 2$ hold.",
        "Then $$a. B = c$$ holds.",
        "Run `lamp. Ignite` now.",
        "$$\nx = 1. Y\n\ny = 2\n$$",
    ],
)
def test_formulas_and_code_are_never_split(sentence: str) -> None:
    assert split(f"Before. {sentence}\nAfter.") == ["Before.", sentence, "After."]


def test_a_language_nobody_knows_is_read_all_the_same() -> None:
    assert split("One. Two.", "zz") == ["One.", "Two."]


def test_long_lines_are_split_like_short_ones() -> None:
    assert split("The lamp is lit. " * 3000) == ["The lamp is lit."] * 3000
    assert len(split("«a. " * 20_000)) > 19_000


TROUBLE = st.text(st.sampled_from("ab A.?!。؟।\n \t\u00a0\u2028$`\"'«»()-1\ud800é中"), max_size=60)


@settings(deadline=None, derandomize=True)
@given(st.one_of(st.text(max_size=80), TROUBLE), st.sampled_from(["en", "de", "zh", "hi", "ar"]))
def test_sentences_hold_all_the_words_in_order(text: str, language: str) -> None:
    position = 0
    for start, end in split_sentences(text, language):
        assert position <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert set(text[position:start].strip()) <= set("-*+•0123456789.) \t\n")
        position = end
    assert set(text[position:].strip()) <= set("-*+•0123456789.) \t\n")
