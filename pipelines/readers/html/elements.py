"""Classify single HTML elements: text, markup, link targets, or the site's navigation and decoration."""

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
"""Block elements: their text is separate from the text before and after them."""

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
# Elements whose end tag is optional, and those that have none.
_SELF_CLOSING = frozenset({
    "a", "area", "base", "body", "br", "col", "colgroup", "dd", "dt", "embed", "head", "hr", "html",
    "img", "input", "li", "link", "meta", "option", "p", "param", "rp", "rt", "source", "tbody",
    "td", "tfoot", "th", "thead", "tr", "track", "wbr",
})  # fmt: skip
_DEEPEST = 5000
# The parser compares each attribute with all earlier ones of its element, in quadratic time.
_MOST_ATTRIBUTES = 1000
# A name ends at the next `<`, where the search continues, so no text is scanned twice.
_ATTRIBUTES = re.compile(
    r"""<[A-Za-z][^\s>/<]*+(?:[\s/]++[^\s>=/<]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>]*+))?+)"""
    f"{{{_MOST_ATTRIBUTES}}}"
)


def parse(source: str) -> LexborHTMLParser:
    """Parse a page; raise `SourceUnreadable` if it would take the parser quadratic time."""
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


class DescendantIndex:
    """An index of the first matching descendant of each element, for one search per selector.

    A separate search within each element would visit every node once for each of its ancestors.
    """

    def __init__(self, root: LexborNode) -> None:
        self._root = root
        self._first: dict[str, dict[int, LexborNode]] = {}

    def first(self, node: LexborNode, selector: str) -> LexborNode | None:
        """Return the first match among the node's descendants, or None."""
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


def nodes_inside(nodes: Sequence[LexborNode], outer: Sequence[LexborNode]) -> list[LexborNode]:
    """Return the nodes that are descendants of one of the outer nodes."""
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


def is_chrome(
    node: LexborNode, tag: str, descendants: DescendantIndex, *, is_content: bool
) -> bool:
    """Whether the element belongs to the site around the page and not to its content."""
    attributes = node.attributes
    return (
        tag in _DROPPED
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") in _DROPPED_ROLES
        or _is_line_number(attributes.get("class"))
        or (tag == "header" and not is_content and descendants.first(node, "h1") is None)
        or (tag == "form" and descendants.first(node, _CONTENT) is None)
        or (tag == "a" and _is_permalink(node))
        or (
            tag == "sup" and descendants.first(node, _LINK_WITHIN) is not None
        )  # a footnote reference
    )


def _is_line_number(classes: str | None) -> bool:
    return bool(classes) and not _LINE_NUMBERS.isdisjoint(classes.split())


def _is_permalink(link: LexborNode) -> bool:
    """Whether a link leads within the page and has no words, such as the pilcrow after a heading."""
    target = link.attributes.get("href") or ""
    return target.startswith("#") and not _WORD.search(link.text())


def is_layout(table: LexborNode, descendants: DescendantIndex) -> bool:
    """Whether a table is used only for page layout."""
    return descendants.first(table, _NOT_IN_CELLS) is not None


def first_number(ordered_list: LexborNode) -> int:
    """Return the list's `start` attribute, or 1."""
    start = ordered_list.attributes.get("start") or ""
    return int(start) if _NUMBER.fullmatch(start) else 1


def tex_source(math: LexborNode, descendants: DescendantIndex) -> str | None:
    """Return the TeX source of a formula, which KaTeX and MathJax keep in the page, or None."""
    annotation = descendants.first(math, _TEX)
    return annotation.text().strip() if annotation else None


def code_text(pre: LexborNode, descendants: DescendantIndex) -> str:
    """Return the text of a `<pre>` with its line breaks, without line numbers and buttons."""
    parts: list[str] = []
    pending = [pre]
    while pending:
        node = pending.pop()
        if node.is_text_node:
            parts.append(node.text_content or "")
        elif node.tag == "br":
            parts.append("\n")
        elif node is pre or not is_chrome(node, node.tag or "", descendants, is_content=True):
            pending.extend(reversed(list(node.iter(include_text=True))))
    return "".join(parts)


def heading_anchor(heading: LexborNode, descendants: DescendantIndex) -> str | None:
    """Return the id of the heading, of an anchor in or directly before it, or of the section it starts."""
    return (
        _id(heading)
        or _id(descendants.first(heading, _NAMED))
        or _id_of_anchor_before(heading)
        or _id_of_section(heading, descendants)
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


def _id_of_section(heading: LexborNode, descendants: DescendantIndex) -> str | None:
    """Return the id of the section that the heading starts.

    Look up to two levels above it, because some generators wrap the heading inside its section.
    """
    wrapper = heading.parent
    for _ in range(2):
        if wrapper is None or wrapper.tag not in ("section", "div", "header"):
            return None
        first = descendants.first(wrapper, _HEADING)
        if first is None or first.mem_id != heading.mem_id:
            return None
        if found := _id(wrapper):
            return found
        wrapper = wrapper.parent
    return None
