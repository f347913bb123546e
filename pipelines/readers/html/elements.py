"""What single HTML elements are to a reader: text, markup, a place to link to, or the site's chrome."""

import re
from collections.abc import Sequence

from selectolax.lexbor import LexborHTMLParser, LexborNode

from storage.errors import SourceUnreadable

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
BLOCKS = HEADINGS | {
    "address", "article", "blockquote", "body", "br", "caption", "center", "dd", "details",
    "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "form", "header", "hgroup",
    "hr", "legend", "li", "main", "menu", "ol", "p", "pre", "section", "summary", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "ul",
}  # fmt: skip
"""Their text never runs on into the text before or after them."""

_DROPPED = frozenset({
    "aside", "audio", "button", "canvas", "embed", "footer", "head", "iframe", "input", "nav",
    "noscript", "object", "option", "script", "select", "style", "svg", "template", "textarea",
    "title", "video",
})  # fmt: skip
_DROPPED_ROLES = frozenset({"navigation", "search", "banner", "contentinfo", "toolbar"})
_LINE_NUMBERS = frozenset({"linenos", "lineno", "linenodiv", "line-numbers", "gutter"})
_CONTENT = "h1, main, article"
_LINK_WITHIN = 'a[href^="#"]'
_NOT_IN_CELLS = "table, pre, h1, h2, h3, h4, h5, h6"
_HEADING = "h1, h2, h3, h4, h5, h6"
_NAMED = "[id], a[name]"
_TEX = 'annotation[encoding="application/x-tex"]'
_WORD = re.compile(r"\w")
_NUMBER = re.compile(r"[0-9]{1,9}")

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)")
# Those whose end tag may be left out, and those that have none.
_SELF_CLOSING = frozenset({
    "a", "area", "base", "body", "br", "col", "colgroup", "dd", "dt", "embed", "head", "hr", "html",
    "img", "input", "li", "link", "meta", "option", "p", "param", "rp", "rt", "source", "tbody",
    "td", "tfoot", "th", "thead", "tr", "track", "wbr",
})  # fmt: skip
_DEEPEST = 5000
# The parser compares each attribute with all that its element has already.
_MOST_ATTRIBUTES = 1000
# A name ends at the next `<`, from where the search goes on: no text is read twice.
_ATTRIBUTES = re.compile(
    r"""<[A-Za-z][^\s>/<]*+(?:[\s/]++[^\s>=/<]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>]*+))?+)"""
    f"{{{_MOST_ATTRIBUTES}}}"
)


def parse(source: str) -> LexborHTMLParser:
    """Raises `SourceUnreadable` for what takes the parser time by its square."""
    depth = 0
    for tag in _TAG.finditer(source):
        if tag[2].lower() not in _SELF_CLOSING:
            depth = max(depth - 1, 0) if tag[1] else depth + 1
            if depth > _DEEPEST:
                raise SourceUnreadable(f"Its HTML is nested more than {_DEEPEST} elements deep.")
    if _ATTRIBUTES.search(source):
        raise SourceUnreadable(
            f"An element of its HTML has more than {_MOST_ATTRIBUTES} attributes."
        )
    return LexborHTMLParser(source)


class Within:
    """The first element of a kind within each element: to search each one alone takes time by its depth."""

    def __init__(self, root: LexborNode) -> None:
        self._root = root
        self._first: dict[str, dict[int, LexborNode]] = {}

    def first(self, node: LexborNode, selector: str) -> LexborNode | None:
        """None when there is none; a node is not within itself."""
        if selector not in self._first:
            self._first[selector] = self._search(selector)
        return self._first[selector].get(node.mem_id)

    def _search(self, selector: str) -> dict[int, LexborNode]:
        first: dict[int, LexborNode] = {}
        for found in self._root.css(selector):
            around = found.parent
            while around is not None and around.mem_id not in first:
                first[around.mem_id] = found
                around = around.parent
        return first


def inside(nodes: Sequence[LexborNode], outer: Sequence[LexborNode]) -> list[LexborNode]:
    """Those of the nodes that are somewhere within one of the outer ones."""
    known = {node.mem_id: True for node in outer}
    found: list[LexborNode] = []
    for node in nodes:
        passed: list[int] = []
        around = node.parent
        while around is not None and around.mem_id not in known:
            passed.append(around.mem_id)
            around = around.parent
        is_inside = around is not None and known[around.mem_id]
        known.update(dict.fromkeys(passed, is_inside))
        if is_inside:
            found.append(node)
    return found


def is_chrome(node: LexborNode, tag: str, within: Within, *, is_content: bool) -> bool:
    """Whether it belongs to the site and not to what the page says."""
    attributes = node.attributes
    return (
        tag in _DROPPED
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") in _DROPPED_ROLES
        or _is_line_number(attributes.get("class"))
        or (tag == "header" and not is_content and within.first(node, "h1") is None)
        or (tag == "form" and within.first(node, _CONTENT) is None)
        or (tag == "a" and _is_permalink(node))
        or (tag == "sup" and within.first(node, _LINK_WITHIN) is not None)  # refers to a footnote
    )


def _is_line_number(classes: str | None) -> bool:
    return bool(classes) and not _LINE_NUMBERS.isdisjoint(classes.split())


def _is_permalink(link: LexborNode) -> bool:
    """The pilcrow beside a heading, the arrow back from a footnote: a link within, without words."""
    target = link.attributes.get("href") or ""
    return target.startswith("#") and not _WORD.search(link.text())


def is_layout(table: LexborNode, within: Within) -> bool:
    """Whether a table only places blocks on the page."""
    return within.first(table, _NOT_IN_CELLS) is not None


def first_number(ordered_list: LexborNode) -> int:
    """What its `start` says, or 1."""
    start = ordered_list.attributes.get("start") or ""
    return int(start) if _NUMBER.fullmatch(start) else 1


def tex_source(math: LexborNode, within: Within) -> str | None:
    """The formula as its author wrote it, which KaTeX and MathJax leave in the page."""
    annotation = within.first(math, _TEX)
    return annotation.text().strip() if annotation else None


def code_text(pre: LexborNode, within: Within) -> str:
    """Its text as it is, line breaks included, without line numbers and buttons."""
    parts: list[str] = []
    pending = [pre]
    while pending:
        node = pending.pop()
        if node.is_text_node:
            parts.append(node.text_content or "")
        elif node.tag == "br":
            parts.append("\n")
        elif node is pre or not is_chrome(node, node.tag or "", within, is_content=True):
            pending.extend(reversed(list(node.iter(include_text=True))))
    return "".join(parts)


def anchor(heading: LexborNode, within: Within) -> str | None:
    """The id of the heading, of an anchor in or right before it, or of the section it opens."""
    return (
        _id(heading)
        or _id(within.first(heading, _NAMED))
        or _id_of_anchor_before(heading)
        or _id_of_section(heading, within)
    )


def _id_of_anchor_before(heading: LexborNode) -> str | None:
    before = heading.prev
    while before is not None and before.is_text_node and not (before.text_content or "").strip():
        before = before.prev
    is_anchor = before is not None and before.tag == "a" and not before.text().strip()
    return _id(before) if is_anchor else None


def _id(node: LexborNode | None) -> str | None:
    if node is None:
        return None
    name = node.attributes.get("name") if node.tag == "a" else None
    return node.attributes.get("id") or name or None


def _id_of_section(heading: LexborNode, within: Within) -> str | None:
    """Looks two levels up: some generators wrap the heading within its section."""
    wrapper = heading.parent
    for _ in range(2):
        if wrapper is None or wrapper.tag not in ("section", "div", "header"):
            return None
        first = within.first(wrapper, _HEADING)
        if first is None or first.mem_id != heading.mem_id:
            return None
        if found := _id(wrapper):
            return found
        wrapper = wrapper.parent
    return None
