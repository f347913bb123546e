"""Decode a file's bytes in whatever encoding they are; refuse binary files with a reason."""

import codecs
import re

from charset_normalizer import from_bytes

from storage.errors import SourceUnreadable

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, because it starts with the UTF-16 mark
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Common encodings of documents. Without this list, rare encodings are detected for short files.
_LATIN = ["cp1252", "cp1250", "cp1254", "cp1257"]
_OTHERS = [
    "cp1251", "cp1253", "cp1255", "cp1256", "koi8_r", "cp932", "euc_jp", "gb18030", "big5", "euc_kr",
]  # fmt: skip
# In Latin script, non-ASCII letters are mostly isolated; in other scripts, they form whole words.
_FOREIGN_WORD = re.compile(rb"[\x80-\xff]{4}")
_DECLARED = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))
_SAMPLE = 65_536
_MOST_CONTROLS = 0.02
_BINARY = "It is a binary file, not text."
# A UTF-8 page with a few damaged bytes must not be decoded as another encoding.
_SOUND_PER_DAMAGED = 3


def decode(data: bytes) -> str:
    """Return the file's text with `\\n` line ends; raise `SourceUnreadable` if it is not text."""
    text = _decode_bytes(data)
    if "\0" in text:
        raise SourceUnreadable(_BINARY)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode_bytes(data: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace").removeprefix("\ufeff")
    sample = data[:_SAMPLE]
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > _MOST_CONTROLS * len(sample):
        raise SourceUnreadable(_BINARY)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_declared(data) or _decode_damaged_utf8(data) or _decode_detected(data)


def _decode_declared(data: bytes) -> str | None:
    """Decode with the `charset` that an HTML page declares; return None if that fails."""
    declaration = _DECLARED.search(data, 0, 2048)
    if declaration is None:
        return None
    try:
        return data.decode(declaration[1].decode("ascii"))
    except (LookupError, UnicodeError):
        return None


def _decode_damaged_utf8(data: bytes) -> str | None:
    text = data.decode("utf-8", errors="replace")
    damaged = text.count("\ufffd")
    sound = sum(1 for character in text if character > "\x7f") - damaged
    return text if sound >= _SOUND_PER_DAMAGED * damaged else None


def _decode_detected(data: bytes) -> str:
    is_latin = _FOREIGN_WORD.search(data) is None
    matches = from_bytes(data, cp_isolation=_LATIN if is_latin else _OTHERS)
    best = matches.best()
    if best is None and not is_latin:
        raise SourceUnreadable("Its character encoding is unknown. Save it as UTF-8 and try again.")
    # Western and Central European encodings differ only in a few letters, so ties are common.
    if best is None or any(m.encoding == "cp1252" and m.chaos <= best.chaos for m in matches):
        return data.decode("cp1252", errors="replace")
    return str(best)
