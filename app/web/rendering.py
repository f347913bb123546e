"""Renders an answer as HTML that is safe to show, whatever its text and its sources contain."""

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.dollarmath.index import dollarmath_plugin, math_inline_dollar

from app.flag_notes import list_notes
from app.web.claims import mark_claims
from storage.domain import Answer

_MARKER = re.compile(r"\[(\d{1,4})\]")
_TAGS = {
    *("p", "br", "hr", "blockquote", "ul", "ol", "li", "pre", "div", "span", "button", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "code", "em", "strong", "s"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {
    "*": {"dir"},
    "a": {"href"},
    "button": {"type", "data-note", "aria-label"},
    "ol": {"start"},
    "span": {"data-claim", "title"},
}
_CLASSES = {
    "span": {"claim", "verdict", "supported", "partial", "unsupported", "unchecked", "math"},
    "div": {"math"},
    "button": {"note"},
    "p": {"told"},
}


def render(answer: Answer) -> str:
    """Render an HTML fragment without scripts, styles or images, and with links only to cited pages.

    A marker is `button[data-note]`; a claim is `span[data-claim]` with its verdict as a class.
    """
    markdown = _build_parser()
    env = {"notes": {citation.n for citation in answer.citations}}
    tokens = markdown.parse(answer.text, env)
    mark_claims(tokens, answer.text, answer.claims)
    pages = {_without_fragment(markdown.normalizeLink(url)) for url in _urls(answer)}
    remarks = "".join(f'<p class="told">{escape(note)}</p>' for note in list_notes(answer))
    return nh3.clean(
        markdown.renderer.render(tokens, markdown.options, env) + remarks,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        attribute_filter=lambda _, name, value: (
            None if name == "href" and _without_fragment(value) not in pages else value
        ),
        url_schemes={"http", "https", "file"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _urls(answer: Answer) -> list[str]:
    nearest = answer.abstention.nearest if answer.abstention else ()
    return [each.url for each in (*answer.citations, *answer.sources, *nearest)]


def _without_fragment(url: str) -> str:
    return url.partition("#")[0]


@cache
def _build_parser() -> MarkdownIt:
    """Create a parser of CommonMark with tables and math.

    HTML is treated as text; links are filtered after rendering.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    markdown.use(dollarmath_plugin, allow_labels=False)
    markdown.inline.ruler.at("math_inline", _parse_math)
    markdown.inline.ruler.before("link", "note", _parse_note)
    markdown.core.ruler.push("direction", _set_direction)
    markdown.add_render_rule("note", _render_marker)
    markdown.add_render_rule("image", _render_image)
    markdown.validateLink = lambda url: True  # noqa: ARG005
    return markdown


def _parse_math(state: StateInline, silent: bool) -> bool:
    """Parse a formula; dollar signs on both sides of a marker are prices, not a formula."""
    rule, start = math_inline_dollar(allow_space=False, allow_digits=False), state.pos
    found = rule(state, True)
    end, state.pos = state.pos, start
    return found and not _MARKER.search(state.src, start, end) and rule(state, silent)


def _parse_note(state: StateInline, silent: bool) -> bool:
    """Parse a marker: a known footnote number in brackets; the space before it is removed."""
    match = _MARKER.match(state.src, state.pos)
    if match is None or int(match[1]) not in state.env["notes"]:
        return False
    if not silent:
        state.pending = state.pending.rstrip(" ")
        state.push("note", "button", 0).content = match[1]
    state.pos = match.end()
    return True


def _set_direction(state: StateCore) -> None:
    """Let each top-level block take the direction of its text; blocks inside it inherit that direction."""
    for token in state.tokens:
        if token.nesting == 1 and token.level == 0:
            token.attrSet("dir", "auto")


def _render_marker(_: object, tokens: Sequence[Token], index: int, *__: Any) -> str:
    n = tokens[index].content
    label = f'class="note" data-note="{n}" aria-label="Footnote {n}"'
    return f'<button type="button" {label}>{n}</button>'


def _render_image(_: object, tokens: Sequence[Token], index: int, *__: Any) -> str:
    return escape(tokens[index].content)
