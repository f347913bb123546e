"""Markers become exact words: whatever a model writes, a quote stands where it says it stands."""

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.answer.citations import CitedText, find_supporting_span, find_supporting_spans
from app.chat.events import Cited, Token
from pipelines.ingestion.sentences import split_sentences
from storage.domain import Citation
from tests.app.chat.passages import PASSAGES, SECTIONS, TEXT, passage

FUEL, LENS, SIGNAL = PASSAGES


def locate_text(claim: str, heading: str) -> str:
    start, end = find_supporting_span(claim, passage(heading), "en")
    return TEXT[start:end]


def write_deltas(deltas: Iterable[str]) -> tuple[CitedText, list[Token | Cited]]:
    text = CitedText(PASSAGES)
    events = [event for delta in deltas for event in text.write(delta)]
    return text, events + list(text.close())


def footnotes(events: list[Token | Cited]) -> list[Citation]:
    return [event.citation for event in events if isinstance(event, Cited)]


@pytest.mark.parametrize(
    ("claim", "heading", "quote"),
    [
        (
            "Ships see a flash every ten seconds because the lens turns.",
            "Why the lens turns",
            "The lens turns so that ships see a flash every ten seconds.",
        ),
        (
            "The lamp burns 2.4 litres of paraffin an hour.",
            "Fuel",
            "The lamp burns 2.4 litres of paraffin an hour",
        ),
        ("It says “burns 2.4 litres of paraffin”.", "Fuel", "burns 2.4 litres of paraffin"),
        ('It says "burns 2.4 litres of paraffin".', "Fuel", "burns 2.4 litres of paraffin"),
        (
            "“Fill the tank every morning, and never while the burner is hot.”",
            "Fuel",
            "Fill the tank every morning, and\nnever while the burner is hot",
        ),
        (
            "First “the burner is hot”, then “every morning, and never while the burner”.",
            "Fuel",
            "every morning, and\nnever while the burner",
        ),
        (
            r"“`horn --on` \[sic] starts the \* compressor.”",
            "Signal",
            "`horn --on` [sic] starts the * compressor",
        ),
        ("No.", "Why the lens turns", "Nobody turns it by hand!"),
        (
            "“the lens turn so that ships”",
            "Why the lens turns",
            "The lens turns so that ships see a flash every ten seconds.",
        ),
    ],
)
def test_a_claim_is_carried_by_its_own_words_or_by_the_nearest_sentence(
    claim: str, heading: str, quote: str
) -> None:
    assert locate_text(claim, heading).rstrip(".!") == quote.rstrip(".!")


@pytest.mark.parametrize("claim", ["", "“", "…", "***", "zzz", "x" * 5_000, "ß" * 40, "\n"])
def test_whatever_is_claimed_something_of_the_passage_is_quoted(claim: str) -> None:
    for one in PASSAGES:
        start, end = find_supporting_span(claim, one, "en")
        assert one.start <= start < end <= one.end


def test_the_footnote_says_where_its_quote_stands() -> None:
    _, events = write_deltas(["It burns “2.4 litres of paraffin” [1]."])
    (citation,) = footnotes(events)
    assert citation.n == 1
    assert citation.quote == "2.4 litres of paraffin" == TEXT[citation.start : citation.end]
    assert (citation.passage_id, citation.source_id) == (FUEL.id, FUEL.source_id)
    assert (citation.title, citation.section, citation.url) == (
        FUEL.title,
        FUEL.section,
        f"{FUEL.url}:~:text=2.4%20litres%20of%20paraffin",
    )


def test_one_source_is_named_once_without_its_anchor() -> None:
    text, _ = write_deltas(["It burns [1]. It turns [2]. It sounds [3]."])
    (source,) = text.sources()
    assert (source.id, source.url) == (FUEL.source_id, "https://skerry.example/manual")


def test_a_claim_in_quotation_marks_lasts_until_they_close() -> None:
    body = " ".join(SECTIONS["Why the lens turns"].split())
    text, _ = write_deltas([f"“{body}” [2] The rest is silence."])
    assert [claim.text for claim in text.claims()] == [f"“{body}”", "The rest is silence."]
    assert [len(claim.citations) for claim in text.claims()] == [1, 0]


def test_an_empty_answer_claims_nothing() -> None:
    text, events = write_deltas([])
    assert (text.text, text.claims(), text.sources(), events) == ("", (), (), [])


def test_a_marker_before_any_words_still_leads_somewhere() -> None:
    text, events = write_deltas(["[1] The lamp burns paraffin."])
    (citation,) = footnotes(events)
    assert FUEL.start <= citation.start < citation.end <= FUEL.end
    (claim,) = text.claims()
    assert text.text[claim.start : claim.end] == claim.text == "The lamp burns paraffin."
    assert claim.citations == (citation,)


SENTENCES = [
    (number, one.text[start:end])
    for number, one in enumerate(PASSAGES, 1)
    for start, end in split_sentences(one.text)
]
WHOLE = [(n, text) for n, text in SENTENCES if re.fullmatch(r"[A-Z][^`\[*]*[.!?]", text)]
"""Not cut by a line's end, and without marks of Markdown."""
SHAPES = ["{}", "“{}”", "Indeed, {}", "They say: “{}”"]
MARKERS = ["[{}]", " [{}]", " 【{}】", " [{}][9]", " [{},2]", " [0]"]


@st.composite
def answers(draw: st.DrawFn) -> str:
    """An answer in sentences of the passages, quoted or not, with markers true and false."""
    parts = []
    for number, sentence in draw(st.lists(st.sampled_from(SENTENCES), max_size=6)):
        said = draw(st.sampled_from(SHAPES)).format(" ".join(sentence.split()))
        parts.append(said + draw(st.sampled_from(MARKERS)).format(number))
    return draw(st.sampled_from([" ", "\n\n", "\n- "])).join(parts)


NOISE = st.text(alphabet='ab. “”"`[]【】1239,\\\n*!?é光', max_size=60)


@st.composite
def cut(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[str, list[str]]:
    """A text, and the same in pieces."""
    text = draw(texts)
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return text, [text[start:end] for start, end in pairwise([0, *places, len(text)])]


@given(cut(st.one_of(answers(), NOISE)))
def test_every_quote_is_an_exact_span_of_its_passage(example: tuple[str, list[str]]) -> None:
    script, deltas = example
    text, events = write_deltas(deltas)
    whole, _ = write_deltas([script])
    assert (text.text, text.claims()) == (whole.text, whole.claims())
    assert "".join(event.text for event in events if isinstance(event, Token)) == text.text
    by_id = {one.id: one for one in PASSAGES}
    for citation in footnotes(events):
        one = by_id[citation.passage_id]
        assert one.start <= citation.start < citation.end <= one.end
        assert citation.quote == TEXT[citation.start : citation.end]


@given(answers())
def test_numbers_count_up_and_mean_one_quote_each(script: str) -> None:
    text, events = write_deltas([script])
    notes = footnotes(events)
    assert [note.n for note in notes] == list(range(1, len(notes) + 1))
    assert len({(note.passage_id, note.start, note.end) for note in notes}) == len(notes)
    cited = {note.n: note for claim in text.claims() for note in claim.citations}
    assert cited == {note.n: note for note in notes}


@given(st.lists(st.sampled_from(WHOLE), min_size=1, max_size=6))
def test_a_sentence_that_is_taken_over_is_quoted_as_it_stands(
    chosen: list[tuple[int, str]],
) -> None:
    script = " ".join(f"“{' '.join(sentence.split())}” [{number}]" for number, sentence in chosen)
    text, _ = write_deltas([script])
    for (_, sentence), claim in zip(chosen, text.claims(), strict=True):
        (citation,) = claim.citations
        assert citation.quote.rstrip(".!?") == sentence.rstrip(".!?")


@given(answers())
def test_a_claim_is_its_span_of_the_text_without_the_markers(script: str) -> None:
    text, _ = write_deltas([script])
    before = 0
    for claim in text.claims():
        assert before <= claim.start < claim.end <= len(text.text)
        shown = text.text[claim.start : claim.end]
        assert re.sub(r"\s*\[\d+]", "", shown) == claim.text
        before = claim.end


@pytest.mark.parametrize(
    ("claim", "quotes"),
    [
        (
            "One blast of four seconds is given every minute, and `horn --on` starts the compressor.",
            [
                "One blast of four seconds is given every minute.",
                "Then `horn --on` [sic] starts the * compressor.",
            ],
        ),
        ("The lamp burns paraffin.", ["The lamp burns 2.4 litres of paraffin an hour."]),
    ],
)
def test_a_claim_that_one_sentence_does_not_carry_cites_two(claim: str, quotes: list[str]) -> None:
    heading = next(name for name, text in SECTIONS.items() if quotes[0] in text)
    spans = find_supporting_spans(claim, passage(heading), "en")
    assert [TEXT[start:end] for start, end in spans] == quotes


def test_two_sentences_side_by_side_are_one_quote() -> None:
    fuel = FUEL.model_copy(update={"text": FUEL.text.replace("\n", " ")})
    claim = "The lamp burns 2.4 litres an hour, so fill the tank every morning, the burner not hot."
    assert find_supporting_spans(claim, fuel, "en") == [(fuel.start, fuel.end)]
