"""A text as the words that are searched for, whatever its script: each one a number.

Stemming is the engine's own where it knows the language. It is not asked where it cannot help: its
tokenizer cuts Indic words at the sign that joins their consonants, and takes a sentence without
spaces for one word.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from zlib import crc32

from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30fa\u30fc-\u30ff\u3400-\u9fff"
    "\uac00-\ud7af"
)
"""Scripts whose words are not separated by spaces, or not by spaces alone."""
_MARKS = "\u0300-\u036f\u0483-\u0489\u0900-\u0963\u0966-\u0dff"
"""What belongs to a word and is no letter by itself; most of the range are Indic letters."""
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}](?:[^\W{_UNSPACED}]|[{_MARKS}])*")
_PLAIN_WORD = re.compile(r"\w+")
_PECULIAR = re.compile(f"[{_UNSPACED}{_MARKS}]")
_AFTER_LATIN = "\u0250"
_RUN = re.compile(f"[{_UNSPACED}]")
_INDIC = re.compile("[\u0900-\u0dff]")
_CHINESE = re.compile("[\u3400-\u9fff]")
_REMEMBERED = 200_000
"""Words of a language whose numbers are kept."""
_LONGEST = 40
"""Characters of a word that may be kept: what is longer comes once, or from somebody who fills memory."""
_COMMON = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于"
    "着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还"
    "进好小部其些主样理心她本前与被由从及或等什哪谁何少几怎吗呢這個們來為國說時會對於"
    "過發後裡經麼學動還進樣與從誰幾嗎沒現當種"
)
"""The commonest Chinese characters, simplified and traditional: alone they say next to nothing."""

# Written or not, and in one of two ways, as the writer likes: vowel points of Arabic and Hebrew, the
# line that only stretches a word, the dot of borrowed sounds and the nasal sign of Devanagari.
_FOLDED: dict[int, str | None] = {
    **dict.fromkeys((*range(0x0591, 0x05C8), *range(0x064B, 0x0660), 0x0640, 0x0670, 0x093C)),
    0x0901: "\u0902",
    0x200D: None,
}
_FOLDABLE = re.compile(f"[{''.join(map(chr, _FOLDED))}]")
# A Persian keyboard and an Arabic one write the same letters differently.
_PERSIAN = str.maketrans("يىك", "ییک")
_PERSIAN_SCRIPT = frozenset({"fa", "ur", "ps", "ckb"})
# Endings of number, case, gender and tense, after Ramanathan and Rao (2003).
_HINDI_ENDING = re.compile(
    "(?<=..)(?:ाएंगी|ाएंगे|ाऊंगी|ाऊंगा|ाइयों|ाइयां|ियों|ियां|ाओं|ाएं|ुओं|ुएं|ताएं|ताओं|नाएं|नाओं|ाएगी|ाएगा|"
    "ाओगी|ाओगे|एंगी|ेंगी|ेंगे|ूंगी|ूंगा|ातीं|तीं|ाकर|ाइए|ाईं|ाया|ेगी|ेगा|ोगी|ोगे|ाने|ाना|ाते|ाती|ाता|कर|ाओ|िए|ाई|"
    "ाए|ने|नी|ना|ते|ती|ता|ीं|ां|ों|ें|ो|े|ू|ु|ी|ि|ा)$"
)


def words(text: str, language: str) -> tuple[list[int], list[int]]:
    """Numbers of the content words in their order, and of the character pairs of unspaced runs.

    `language` is an ISO 639 code; in another language's script words stay as they are.
    """
    folded = _folded(text, language)
    # Most texts are plain, and this is several times faster.
    if folded.isascii() or _PECULIAR.search(folded) is None:
        return _numbered(_PLAIN_WORD.findall(folded), language), []
    found = _WORD.findall(folded)
    if not is_unspaced(folded):
        return _numbered(found, language), []
    runs = [word for word in found if _RUN.match(word)]
    spaced = [word for word in found if not _RUN.match(word)]
    return _numbered(spaced, language), [*chain.from_iterable(map(_pairs_of_characters, runs))]


def characters(text: str, language: str) -> list[int]:
    """Numbers of the Chinese characters in it, also of Japanese, that mean something by themselves."""
    if text.isascii():
        return []
    found = _CHINESE.findall(_folded(text, language))
    return [crc32(character.encode()) for character in found if character not in _COMMON]


def is_unspaced(text: str) -> bool:
    """Whether any of it is in a script whose words no space tells apart."""
    return _RUN.search(text) is not None


def is_indic(text: str) -> bool:
    """Whether any of it is in a script of India, which the engine's tokenizer cuts to pieces."""
    return _INDIC.search(text) is not None


def is_latin(text: str) -> bool:
    """Whether at least half of its letters are Latin."""
    letters = [character for character in text if character.isalpha()]
    return 2 * sum(letter < _AFTER_LATIN for letter in letters) >= len(letters)


def stop_words_in(text: str, language: str) -> int:
    """How many words of the language's stop list a text has, each counted once."""
    kept = Bm25Config(language=language, stemmer=DisabledStemmer())
    every = Bm25Config(stemmer=DisabledStemmer(), stopwords=StopwordsSet())
    return len(Bm25(every).embed_query(text).indices) - len(Bm25(kept).embed_query(text).indices)


def _folded(text: str, language: str) -> str:
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKC", text)
    folded = _FOLDABLE.sub(lambda found: _FOLDED[ord(found[0])] or "", folded)
    return folded.translate(_PERSIAN) if language in _PERSIAN_SCRIPT else folded


def _pairs_of_characters(run: str) -> Iterator[int]:
    """Every two neighbours, a sign above or below counting with its letter; alone, the one."""
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


def _numbered(found: Sequence[str], language: str) -> list[int]:
    numbers = _numbers(language)
    if len(numbers) > _REMEMBERED:
        numbers.clear()
    return [*chain.from_iterable(map(numbers.__getitem__, found))]


class _Numbers(dict[str, tuple[int, ...]]):
    """What words of a language are numbered, looked up without a call of Python once it is known."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self._encoder = encoder(language)

    def __missing__(self, word: str) -> tuple[int, ...]:
        """Nothing for a stop word; several when the engine sees several words in it."""
        if _INDIC.search(word):
            numbers = (crc32(_HINDI_ENDING.sub("", word).encode()),)
        else:
            numbers = tuple(self._encoder.embed_query(word).indices)
        if len(word) <= _LONGEST:
            self[word] = numbers
        return numbers


_numbers = lru_cache(maxsize=32)(_Numbers)


@lru_cache(maxsize=32)
def encoder(language: str, tokenizer: TokenizerType = TokenizerType.Word) -> Bm25:
    """The engine's stemmer and stop list; without one for a language, words stay as they are."""
    try:
        return Bm25(Bm25Config(language=language, tokenizer=tokenizer))
    except ValueError:
        neutral = Bm25Config(
            tokenizer=tokenizer, stemmer=DisabledStemmer(), stopwords=StopwordsSet()
        )
        return Bm25(neutral)
