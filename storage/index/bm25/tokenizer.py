"""Splits a text in any script into search terms; each term is a number.

The engine stems words of the languages that it supports. Its tokenizer is not used for Indic words, which
it splits at the sign that joins consonants, nor for scripts without spaces, where it takes a sentence for
one word.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from zlib import crc32

from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType

from storage.word_lists import any_of, word_lists

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30fa\u30fc-\u30ff\u3400-\u9fff"
    "\uac00-\ud7af"
)
"""Scripts that do not separate words by spaces, or not only by spaces."""
_MARKS = "\u0300-\u036f\u0483-\u0489\u0900-\u0963\u0966-\u0dff"
"""Combining marks, which belong to a word but do not match `\\w`; the ranges also hold Indic letters."""
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}](?:[^\W{_UNSPACED}]|[{_MARKS}])*")
_PLAIN_WORD = re.compile(r"\w+")
_NEEDS_SPLITTING = re.compile(f"[{_UNSPACED}{_MARKS}]")
_AFTER_LATIN = "\u0250"
_RUN = re.compile(f"[{_UNSPACED}]")
_INDIC = re.compile("[\u0900-\u0dff]")
_CHINESE = re.compile("[\u3400-\u9fff]")
_MAX_CACHED_WORDS = 200_000
"""Words per language whose numbers are cached."""
_LONGEST = 40
"""Longest word to cache, in characters: longer ones rarely recur, or are sent to fill the memory."""
_LISTS = word_lists(__file__)
_COMMON_CHARACTERS = frozenset("".join(_LISTS["common_characters"]))

# Characters that are optional or have two spellings: vowel points of Arabic and Hebrew, the Arabic
# stretching line (tatweel), the dot of borrowed sounds and the nasal sign of Devanagari.
_FOLDS: dict[int, str | None] = {
    **dict.fromkeys((*range(0x0591, 0x05C8), *range(0x064B, 0x0660), 0x0640, 0x0670, 0x093C)),
    0x0901: "\u0902",
    0x200D: None,
}
_FOLDABLE = re.compile(f"[{''.join(map(chr, _FOLDS))}]")
# Persian and Arabic keyboards write the same letters with different code points.
_PERSIAN = str.maketrans("يىك", "ییک")
_PERSIAN_SCRIPT = frozenset({"fa", "ur", "ps", "ckb"})
_HINDI_ENDING = re.compile(rf"(?<=..){any_of(_LISTS['hindi_endings'])}$")


def tokenize(text: str, language: str) -> tuple[list[int], list[int]]:
    """Return the numbers of the content words, in order, and of the character pairs in unspaced runs.

    `language` is an ISO 639 code; its stemmer does not change words in another script.
    """
    folded = _fold(text, language)
    # Most texts have no such characters, and this path is several times faster.
    if folded.isascii() or _NEEDS_SPLITTING.search(folded) is None:
        return _to_numbers(_PLAIN_WORD.findall(folded), language), []
    found = _WORD.findall(folded)
    if not is_unspaced(folded):
        return _to_numbers(found, language), []
    runs = [word for word in found if _RUN.match(word)]
    spaced = [word for word in found if not _RUN.match(word)]
    return _to_numbers(spaced, language), [*chain.from_iterable(map(_pairs_of_characters, runs))]


def chinese_characters(text: str, language: str) -> list[int]:
    """Return the numbers of the Chinese characters, also in Japanese, except very common ones."""
    if text.isascii():
        return []
    found = _CHINESE.findall(_fold(text, language))
    return [crc32(character.encode()) for character in found if character not in _COMMON_CHARACTERS]


def is_unspaced(text: str) -> bool:
    """Return whether any character is in a script that does not separate words by spaces."""
    return _RUN.search(text) is not None


def is_indic(text: str) -> bool:
    """Return whether any character is in an Indic script, whose words the engine's tokenizer splits."""
    return _INDIC.search(text) is not None


def is_latin(text: str) -> bool:
    """Return whether at least half of the letters are Latin."""
    letters = [character for character in text if character.isalpha()]
    return 2 * sum(letter < _AFTER_LATIN for letter in letters) >= len(letters)


def count_stop_words(text: str, language: str) -> int:
    """Return how many distinct words of the language's stop list a text contains."""
    kept = Bm25Config(language=language, stemmer=DisabledStemmer())
    every = Bm25Config(stemmer=DisabledStemmer(), stopwords=StopwordsSet())
    return len(Bm25(every).embed_query(text).indices) - len(Bm25(kept).embed_query(text).indices)


def _fold(text: str, language: str) -> str:
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKC", text)
    folded = _FOLDABLE.sub(lambda found: _FOLDS[ord(found[0])] or "", folded)
    return folded.translate(_PERSIAN) if language in _PERSIAN_SCRIPT else folded


def _pairs_of_characters(run: str) -> Iterator[int]:
    """Yield the number of every two adjacent characters, or of a single character without a neighbour.

    A combining mark counts as part of its letter.
    """
    units: list[str] = []
    for character in run:
        if units and unicodedata.category(character) in ("Mn", "Mc"):
            units[-1] += character
        else:
            units.append(character)
    if len(units) == 1:
        yield crc32(units[0].encode())
    for first, second in pairwise(units):
        yield crc32((first + second).encode())


def _to_numbers(found: Sequence[str], language: str) -> list[int]:
    numbers = _numbers(language)
    if len(numbers) > _MAX_CACHED_WORDS:
        numbers.clear()
    return [*chain.from_iterable(map(numbers.__getitem__, found))]


class _Numbers(dict[str, tuple[int, ...]]):
    """A cache from a language's words to their numbers; a hit does not call any Python function."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self._encoder = get_encoder(language)

    def __missing__(self, word: str) -> tuple[int, ...]:
        """Compute a word's numbers: none for a stop word, several if the engine splits the word."""
        if _INDIC.search(word):
            numbers = (crc32(_HINDI_ENDING.sub("", word).encode()),)
        else:
            numbers = tuple(self._encoder.embed_query(word).indices)
        if len(word) <= _LONGEST:
            self[word] = numbers
        return numbers


_numbers = lru_cache(maxsize=32)(_Numbers)


@lru_cache(maxsize=32)
def get_encoder(language: str, tokenizer: TokenizerType = TokenizerType.Word) -> Bm25:
    """Return the engine's encoder with a stemmer and stop list, or without them for an unknown language."""
    try:
        return Bm25(Bm25Config(language=language, tokenizer=tokenizer))
    except ValueError:
        neutral = Bm25Config(
            tokenizer=tokenizer, stemmer=DisabledStemmer(), stopwords=StopwordsSet()
        )
        return Bm25(neutral)
