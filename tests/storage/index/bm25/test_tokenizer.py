"""What counts as the same word, in which script ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.index.bm25.encoder import content_terms, encode_document, encode_query
from storage.index.bm25.tokenizer import is_latin, tokenize
from storage.index.engine import SparseVector


def overlap(query: str, text: str, language: str) -> float:
    """Share of the query's words that the text has."""
    asked, found = tokenize(query, language), tokenize(text, language)
    wanted = {*asked[0], *asked[1]}
    return len(wanted & {*found[0], *found[1]}) / len(wanted)


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("en", "lamps burning", "The lamp burns"),
        ("de", "Leuchttürmen", "Leuchtturm"),
        ("ru", "маяками", "маяк"),
        ("en", "ﬁre １２", "fire 12"),
        ("ar", "كَتَبَ", "كتب"),
        ("ar", "مـصـباح", "مصباح"),
        ("fa", "كتاب يك", "کتاب یک"),
        ("hi", "मशालें", "मशाल"),
        ("hi", "क़लम", "कलम"),
        ("hi", "चाँद", "चांद"),
    ],
)
def test_ways_to_write_a_word_are_one_word(language: str, one: str, other: str) -> None:
    assert overlap(one, other, language) == 1


def test_a_hindi_word_is_not_cut_at_its_joined_consonants() -> None:
    assert len(tokenize("पैंथर्स", "hi")[0]) == 1
    assert len(content_terms("पैंथर्स", "hi")) == 1
    assert content_terms("चन्द्र", "hi").isdisjoint(content_terms("पैंथर्स केन्द्र", "hi"))


@pytest.mark.parametrize(
    ("language", "query", "text"),
    [
        ("zh", "灯塔", "海边有一座灯塔。"),
        ("ja", "灯台", "海辺に灯台がある。"),
        ("ko", "등대", "바닷가에 등대가 있다."),
        ("th", "ประภาคาร", "มีประภาคารอยู่ริมทะเล"),
        ("zh", "灯", "灯"),
    ],
)
def test_a_word_is_found_where_no_space_stands_before_it(
    language: str, query: str, text: str
) -> None:
    assert overlap(query, text, language) == 1
    assert overlap(query, "lamp 42", language) == 0


def test_scripts_may_be_mixed() -> None:
    spaced, unspaced = tokenize("USB接口v2", "zh")
    assert (len(spaced), len(unspaced)) == (2, 1)


def test_words_side_by_side_are_worth_more_than_the_same_words_apart() -> None:
    together, apart, one = [
        shared("signal lamp", text, "en")
        for text in ("a signal lamp burns", "a lamp burns, a signal", "a lamp")
    ]
    assert together > apart > one > 0


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_a_chinese_character_finds_the_words_it_is_part_of(language: str) -> None:
    word, part, none = [shared("灯塔", text, language) for text in ("灯塔", "塔上", "海边")]
    assert word > part > none == 0
    assert 0 < shared("灯", "灯塔", language) < shared("灯", "灯", language)
    assert shared("什么是塔", "是灯", language) == 0, "it would find half of all passages"


@pytest.mark.parametrize(
    ("language", "part", "word"), [("ja", "と", "とうだい"), ("ko", "등", "등대")]
)
def test_what_only_spells_a_sound_finds_no_words(language: str, part: str, word: str) -> None:
    assert shared(part, word, language) == 0


def test_a_term_of_several_texts_has_its_greatest_weight() -> None:
    both = encode_query({"lamp": 1.0, "lamp oil": 0.25}, {"en"})
    assert sorted(both.values) == [0.25, 0.25, 1.0]


@pytest.mark.parametrize("text", ["", "?!", "the of and"])
def test_without_content_there_are_no_terms(text: str) -> None:
    assert encode_document(text, "en").indices == encode_query({text: 1.0}, {"en"}).indices == []


@given(st.text(), st.sampled_from(["en", "zh", "ar", "hi", "fa", "th", "xx"]))
def test_any_text_finds_itself(text: str, language: str) -> None:
    document, query = encode_document(text, language), encode_query({text: 1.0}, {language})
    assert document.indices == query.indices == sorted(set(document.indices))
    assert all(0 <= index < 1 << 32 for index in document.indices)
    assert all(weight > 0 for weight in document.values)


def test_a_text_is_latin_when_most_of_its_letters_are() -> None:
    assert is_latin("naïve Köche, 42")
    assert is_latin("42?")
    assert not is_latin("маяк USB")


def shared(query: str, text: str, language: str) -> float:
    """What a search would score before it counts in how rare the terms are."""
    asked = dict(zip(*_terms(encode_query({query: 1.0}, {language})), strict=True))
    document = zip(*_terms(encode_document(text, language)), strict=True)
    return sum(asked.get(term, 0.0) * weight for term, weight in document)


def _terms(sparse: SparseVector) -> tuple[list[int], list[float]]:
    return sparse.indices, sparse.values
