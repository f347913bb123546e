"""How the answers of the extractive model read, and that every word of them stands in a passage."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.llms.extractive_model.model import NO_QUOTE_FOUND, ExtractiveLLM
from app.llms.prompts import build_prompt
from tests.app.llms.extractive_model.extracted import (
    LAMP,
    LAMP_CODE,
    SIGNALS,
    ask,
    cited_quotes,
    normalize,
    parse_quotes,
    passage,
)


def test_a_fence_is_longer_than_the_backticks_in_the_code() -> None:
    code = "````md\n```\nblast\n```\n````"
    source = passage(f"Blocks\n\nTo write a block of code, type:\n\n{code}", code)
    assert f"`````\n{code}\n`````\n[1]" in ask("How do I write a block of code?", source)


def test_a_formula_stays_a_formula() -> None:
    formula = r"$$T = \frac{10\,\text{s}}{n}$$"
    lead = "The period $T_0$ of the flash follows from *n* panels:"
    source = passage(f"Period\n\n{lead}\n\n{formula}", formula)
    answer = ask("What is the period of the flash?", source)
    assert answer == f"“{lead}” [1]\n\n{formula}\n[1]".replace("*n*", r"\*n\*")
    assert cited_quotes(answer, [source]) == [lead, formula]


def test_a_list_comes_with_the_sentence_that_introduces_it() -> None:
    source = passage(SIGNALS)
    answer = ask("Which signals are known?", source)
    assert answer.startswith(
        "“Three signals are known at Skerry Point:\n"
        "- One blast of the foghorn for low visibility\n"
        "- Two blasts for a ship that stands into danger\n"
        "- A red flag for a landing that is closed” [1]"
    )
    assert cited_quotes(answer, [source])[0].endswith("a landing that is closed")


def test_a_list_without_introduction_is_quoted_from_its_first_bullet() -> None:
    source = passage(
        "Steps to launch\n\n1. Lower the boat slowly.\n2. Cast off the bow line first."
    )
    assert ask("What are the steps to launch?", source) == (
        "1. “Lower the boat slowly.\n2. Cast off the bow line first.” [1]"
    )


def test_one_item_of_a_long_list_has_no_bullet() -> None:
    items = "\n".join(f"- Rule {n} of the station speaks about duty number {n}." for n in range(40))
    source = passage(f"Rules\n\n{items}\n- Paraffin is kept in the outer shed.")
    assert ask("Where is paraffin kept?", source).startswith(
        "“Paraffin is kept in the outer shed.”"
    )


def test_quotes_stand_in_the_order_of_the_passages_and_of_their_text() -> None:
    first = passage("Oil\n\nLamp oil is kept in the shed. Nobody smokes there. Grease is in tins.")
    second = passage(
        "Spares\n\nSpare wicks are kept upstairs. Spare lamp oil is kept in the cellar."
    )
    order = [n for _, n in parse_quotes(ask("Where is spare lamp oil kept?", first, second))]
    assert order == sorted(order)
    assert set(order) == {1, 2}


def test_nothing_of_a_quote_becomes_markup_or_a_footnote() -> None:
    said = "Code [3] *means* fog in <Horn> and `__init__` of snake_case."
    source = passage(f"Codes\n\n{said}")
    answer = ask("What is code 3?", source)
    escaped = r"Code \[3] \*means\* fog in \<Horn> and \`\_\_init\_\_\` of snake_case."
    assert answer == f"“{escaped}” [1]"
    assert cited_quotes(answer, [source]) == [said]


def test_every_footnote_opens_the_exact_words() -> None:
    sources = [passage(LAMP, LAMP_CODE), passage(SIGNALS)]
    answer = ask("How do I light the lamp and which signals are known?", *sources)
    found = cited_quotes(answer, sources)
    assert len(found) > 1
    assert sorted(map(normalize, found)) == sorted(
        normalize(text) for text, _ in parse_quotes(answer)
    )


def test_an_answer_has_at_most_120_words() -> None:
    sentence = "The lamp burns on {0}day{0} when keeper{0} brings oil{0} from shed{0} to tank{0}."
    text = "Burning\n\n" + " ".join(sentence.format(n) for n in range(60))
    answer = ask("When does the lamp burn?", passage(text))
    assert 40 <= len(re.sub(r"\[\d+\]", "", answer).split()) <= 120


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("灯是什么？", "灯塔\n\n灯是一种透镜。它由发条驱动。雾很大。"),
        ("ما هو المصباح؟", "المنارة\n\nالمصباح عدسة تدور بمحرك. هل هذا صحيح؟ نعم."),
        ("दीपक क्या है?", "दीपक\n\nदीपक एक घूमने वाला लेंस है। कोहरा घना है।"),
        ("🚨?", "🚨\n\n🚨 means that a ship stands into danger 🛟."),
    ],
)
def test_any_script_is_quoted(question: str, text: str) -> None:
    source = passage(text)
    answer = ask(question, source)
    assert parse_quotes(answer)
    assert all(normalize(words) in normalize(text) for words, _ in parse_quotes(answer))


async def test_the_stream_is_the_answer_in_small_pieces() -> None:
    llm = ExtractiveLLM()
    prompt = build_prompt("How do I light the burner?", [passage(LAMP, LAMP_CODE)])
    whole = llm.chat(prompt).message.content
    deltas = [response.delta or "" for response in llm.stream_chat(prompt)]
    streamed = [response.delta or "" async for response in await llm.astream_chat(prompt)]
    assert "".join(deltas) == "".join(streamed) == whole
    assert len(deltas) > 3


WORDS = st.text("abcXYZ é灯 .,:?!*_`<>[](){}$\\&~|0123456789-\n\t", min_size=1, max_size=80)
PARTS = st.lists(st.tuples(st.booleans(), WORDS), min_size=1, max_size=6)


@given(parts=PARTS, question=st.text(max_size=30))
def test_every_quoted_piece_stands_in_its_passage(
    parts: list[tuple[bool, str]], question: str
) -> None:
    text, code = "", list[tuple[int, int]]()
    for is_code, words in parts:
        part = words.strip() or "."
        code += [(len(text), len(text) + len(part))] if is_code else []
        text += f"{part}\n\n"
    source = passage("The lamp is lit.").model_copy(
        update={"text": text.rstrip(), "end": len(text.rstrip()), "code": tuple(code)}
    )
    answer = ask(question, source)
    for words, n in parse_quotes(answer):
        assert n == 1
        assert normalize(words) in normalize(text)
    assert answer == NO_QUOTE_FOUND or parse_quotes(answer) or "$$" in answer
