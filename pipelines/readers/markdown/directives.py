"""markdown-it rules for the Markdown extensions of documentation: admonitions and heading ids."""

import re
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore

# `:::note Title`, `:::note[Title]{.class}`, `::: {.note}`, `:::`; a closing fence has no name.
_FENCE = re.compile(
    r":{3,}+[ \t]*(?:[A-Za-z][\w-]*|\{[^}\n]*\})?"
    r"(?:\[(?P<label>.*)\])?(?:\{[^{}\n]*\}|[ \t]+(?P<title>\S.*)|[ \t]*)"
)
_EXPLICIT_ID = re.compile(r"\{(?:#([^{}#\n]+)|/\*[ \t]*#([^\s{}*]+)[ \t]*\*/)\}")
_ALERT = re.compile(r"\[!(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION)\][ \t]*(?=\n|\Z)", re.IGNORECASE)
HEADING_ID = "id"


def directives_plugin(parser: MarkdownIt) -> None:
    """Replace admonition fences by a paragraph with their title; move explicit ids to the heading's token."""
    parser.block.ruler.before(
        "fence", "directive", _directive, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.core.ruler.after("block", "heading_ids", _take_heading_ids)
    parser.core.ruler.after("block", "alerts", _drop_alert_markers)


def _directive(state: StateBlock, start_line: int, _end_line: int, silent: bool) -> bool:
    """Parse one fence line; the enclosed text is parsed as usual, at any nesting depth."""
    start = state.bMarks[start_line] + state.tShift[start_line]
    if not state.src.startswith(":::", start) or state.is_code_block(start_line):
        return False
    fence = _FENCE.fullmatch(state.src, start, state.eMarks[start_line])
    if fence is None:
        return False
    if silent:
        return True
    state.line = start_line + 1
    if title := (fence["label"] or fence["title"] or "").strip():
        state.push("paragraph_open", "p", 1).map = [start_line, state.line]
        inline = state.push("inline", "", 0)
        inline.content = title
        inline.map = [start_line, state.line]
        inline.children = []
        state.push("paragraph_close", "p", -1)
    return True


def _take_heading_ids(state: StateCore) -> None:
    for opening, inline in pairwise(state.tokens):
        if opening.type != "heading_open" or not inline.content.endswith("}"):
            continue
        start = inline.content.rindex("{") if "{" in inline.content else 0
        if found := _EXPLICIT_ID.fullmatch(inline.content, start):
            opening.attrSet(HEADING_ID, found[1] or found[2])
            inline.content = inline.content[:start].rstrip(" \t\\")


def _drop_alert_markers(state: StateCore) -> None:
    """Remove markers such as `> [!NOTE]`, which GitHub turns into an icon."""
    for token in state.tokens:
        if token.type == "inline" and token.content.startswith("[!"):
            token.content = _ALERT.sub("", token.content, count=1)
