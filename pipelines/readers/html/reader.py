"""Read the main content of HTML pages as it looks in a browser, without the site around it."""

from collections.abc import Callable, Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipelines.readers.html import elements
from pipelines.readers.html.elements import DescendantIndex
from pipelines.readers.page import Page
from pipelines.readers.page_writer import PageWriter
from storage.shapes import Metadata

_MAIN = "main, [role=main]"
_METADATA_NAMES = ("description", "keywords", "author")


def read_html(source: str) -> Page:
    """Read a page's main content: the `<article>` or `<main>` element, or else the body."""
    tree = elements.parse(source)
    writer = PageWriter()
    for root in _content_roots(tree):
        _HtmlWalk(writer, DescendantIndex(root), is_content=root.tag != "body").write(root)
        if writer.blocks:
            break
    first_title = next((h.text for h in writer.headings if h.level == 1), None)
    head_title = tree.css_first("head title")
    html = tree.css_first("html")
    return Page(
        text=writer.text,
        blocks=tuple(writer.blocks),
        headings=tuple(writer.headings),
        # The title in the head usually includes the site's name, so the first h1 is preferred.
        title=first_title or (" ".join(head_title.text().split()) if head_title else None),
        front_matter=_read_metadata(tree),
        language=(html.attributes.get("lang") if html else None) or None,
    )


def write_fragment(writer: PageWriter, source: str) -> None:
    """Append a piece of HTML, from Markdown or a book, to the writer's page."""
    body = elements.parse(source).body
    if body is not None:
        _HtmlWalk(writer, DescendantIndex(body), is_content=True).write(body)


def _content_roots(tree: LexborHTMLParser) -> Iterator[LexborNode]:
    """Yield candidates for the main content, best first.

    If there are several elements of a kind, they are a list of teasers and not the content.
    """
    mains, articles = tree.css(_MAIN), tree.css("article")
    for found in (elements.nodes_inside(articles, mains), mains, articles):
        if len(found) == 1:
            yield found[0]
    if tree.body is not None:
        yield tree.body


def _read_metadata(tree: LexborHTMLParser) -> Metadata:
    described: Metadata = {}
    for node in tree.css("head meta[name][content]"):
        name, content = node.attributes.get("name"), node.attributes.get("content")
        if name and content and name.lower() in _METADATA_NAMES:
            described[name.lower()] = content
    return described


class _HtmlWalk:
    """A single pass through the tree, without recursion, as pages can nest deeper than Python's stack."""

    def __init__(
        self, writer: PageWriter, descendants: DescendantIndex, *, is_content: bool
    ) -> None:
        self._writer = writer
        self._descendants = descendants
        self._is_content = is_content
        self._tables_of_data: list[bool] = []
        self._openings: dict[str, Callable[[LexborNode], None]] = {
            "ul": lambda _: writer.open_list(None),
            "menu": lambda _: writer.open_list(None),
            "ol": lambda node: writer.open_list(elements.first_number(node)),
            "li": lambda _: writer.open_item(),
            "table": self._open_table,
        }

    def write(self, root: LexborNode) -> None:
        pending = [(root, True)]
        while pending:
            node, is_opening = pending.pop()
            if not is_opening:
                self._close(node, node.tag or "")
            elif node.is_text_node:
                self._writer.prose(node.text_content or "")
            elif node.is_element_node and self._open(node, node.tag or ""):
                pending.append((node, False))
                children = list(node.iter(include_text=True))
                pending.extend((child, True) for child in reversed(children))

    def _open(self, node: LexborNode, tag: str) -> bool:
        """Start a node; return whether to visit its children."""
        if elements.is_chrome(node, tag, self._descendants, is_content=self._is_content):
            return False
        if tag == "br":
            self._writer.line_break()
            return False
        if tag == "pre":
            self._writer.block("code", elements.code_text(node, self._descendants))
            return False
        if tag == "math" and (tex := elements.tex_source(node, self._descendants)):
            self._write_math(node, tex)
            return False
        if opening := self._openings.get(tag):
            opening(node)
        elif tag in elements.BLOCKS:
            self._writer.end_block()
        return True

    def _close(self, node: LexborNode, tag: str) -> None:
        is_data = bool(self._tables_of_data) and self._tables_of_data[-1]
        match tag:
            case "ul" | "ol" | "menu":
                self._writer.close_list()
            case "td" | "th" if is_data:
                self._writer.end_cell()
            case "tr" if is_data:
                self._writer.end_row()
            case "caption" if is_data:
                self._writer.end_cell()
                self._writer.end_row()
            case "table":
                self._tables_of_data.pop()
                if is_data:
                    self._writer.close_table()
                else:
                    self._writer.end_block()
            case _ if tag in elements.HEADINGS:
                self._writer.heading(int(tag[1]), elements.heading_anchor(node, self._descendants))
            case _ if tag in elements.BLOCKS:
                self._writer.end_block()
            case _:
                pass

    def _open_table(self, table: LexborNode) -> None:
        is_data = not elements.is_layout(table, self._descendants)
        self._tables_of_data.append(is_data)
        if is_data:
            self._writer.open_table()
        else:
            self._writer.end_block()

    def _write_math(self, math: LexborNode, tex: str) -> None:
        if math.attributes.get("display") == "block":
            self._writer.block("code", f"$${tex}$$")
        else:
            self._writer.verbatim(f"${tex}$")
