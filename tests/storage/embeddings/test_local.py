"""The embedding that ships with Ibid: unit vectors, whichever way a text is asked for."""

from pathlib import Path

import pytest
import wordllama
from hypothesis import given
from hypothesis import strategies as st

from storage.embeddings.local import DIMENSION, LocalEmbedding, normalize

EMBEDDING = LocalEmbedding()


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_a_text_alone_and_in_a_batch_has_the_same_unit_vector(texts: list[str]) -> None:
    for text, vector in zip(texts, EMBEDDING.get_text_embedding_batch(texts), strict=True):
        assert EMBEDDING.get_text_embedding(text) == pytest.approx(vector, abs=1e-6)
        assert sum(number**2 for number in vector) == pytest.approx(1.0, abs=1e-5) or not text


async def test_a_question_is_embedded_as_a_text_is() -> None:
    question = "How much fuel does the boat carry?"
    asked = await EMBEDDING.aget_query_embedding(question)
    assert (
        asked == EMBEDDING.get_query_embedding(question) == EMBEDDING.get_text_embedding(question)
    )


async def test_what_has_no_word_has_no_direction() -> None:
    assert await EMBEDDING.aget_query_embedding("") == [0.0] * DIMENSION


def test_its_vectors_are_those_that_indexes_of_earlier_versions_have() -> None:
    folder = Path(wordllama.__file__).parent
    theirs = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    texts = [
        "The lamp burns paraffin.",
        "Brass",
        "Zündung, フィルター and a longer line of it.",
        "x " * 900,
    ]
    for text, vector in zip(texts, EMBEDDING.get_text_embedding_batch(texts), strict=True):
        assert vector == pytest.approx(normalize(theirs.embed([text]))[0].tolist(), abs=1e-6)
