"""Read Markdown and MDX as they look on the page: GitHub's and Docusaurus's dialects, with math."""

import re
from collections.abc import Callable, Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin

from pipelines.readers.html.elements import BLOCKS
from pipelines.readers.html.reader import write_fragment
from pipelines.readers.markdown import jsx
from pipelines.readers.markdown.directives import HEADING_ID, directives_plugin
from pipelines.readers.markdown.front_matter import split_front_matter
from pipelines.readers.markdown.mdx import looks_like_mdx, mdx_plugin, unwrap_mdx_fences
from pipelines.readers.page import Page
from pipelines.readers.page_writer import PageWriter
from pipelines.readers.sites.slugs import Slugger
from storage.shapes import Metadata

# The parser is recursive; it drops content that is nested deeper than this.
_DEEPEST = 60
# In characters. A longer paragraph is not real prose, so its inline markup is not parsed.
_LONGEST_PARAGRAPH = 20_000
# Docusaurus removes these comments from code and highlights the lines that they mark.
_HIGHLIGHT_COMMENT = re.compile(
    r"^[ \t]*(?://|#|--|%|;|/\*|\{/\*|<!--)[ \t]*highlight-(?:next-line|start|end)"
    r"[ \t]*(?:\*/\}?|-->)?[ \t]*(?:\n|\Z)",
    re.MULTILINE,
)
# Fill the URL escaper's tables now: it fills them at first use, which is not thread-safe.
MarkdownIt().normalizeLink("")
MarkdownIt().normalizeLinkText("")
_MARKDOWN_LANGUAGES = ("md", "mdx", "markdown")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


def read_markdown(source: str, *, mdx: bool = False) -> Page:
    """Read a Markdown page; a page that contains MDX is read as MDX, even if its suffix is `.md`."""
    front_matter, body = split_front_matter(source)
    if "mdx-code-block" in body:
        mdx, body = True, unwrap_mdx_fences(body)
    tokens = _parser(mdx).parse(body)
    if not mdx and looks_like_mdx(tokens):
        tokens = _parser(mdx=True).parse(body)
    writer = PageWriter()
    _MarkdownWalk(writer).write(tokens)
    language = front_matter.get("lang")
    return Page(
        text=writer.text,
        blocks=tuple(writer.blocks),
        headings=tuple(writer.headings),
        title=_declared_title(front_matter) or _first_title(writer),
        front_matter=front_matter,
        language=language if _LANGUAGE.fullmatch(str(language)) else None,
    )


def read_mdx(source: str) -> Page:
    """Read a page whose suffix is `.mdx`."""
    return read_markdown(source, mdx=True)


def write_markdown(writer: PageWriter, source: str) -> None:
    """Append a piece of Markdown to the writer's page; blocks that it leaves open end with it."""
    _MarkdownWalk(writer).write(_parser(mdx=False).parse(source))


@cache
def _parser(mdx: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).enable(["table", "strikethrough"])
    parser.use(admon_plugin).use(footnote_plugin).use(directives_plugin)
    parser.use(
        dollarmath_plugin,
        allow_labels=False,
        allow_space=False,
        allow_digits=False,
        allow_blank_lines=False,
        double_inline=True,
    )
    parser.core.ruler.before("inline", "overlong", _skip_overlong)
    return parser.use(mdx_plugin) if mdx else parser


def _skip_overlong(state: StateCore) -> None:
    """Exempt very long paragraphs from inline parsing, which takes quadratic time on nested brackets."""
    for token in state.tokens:
        if token.type == "inline" and len(token.content) > _LONGEST_PARAGRAPH:
            token.type = "overlong"


def _declared_title(front_matter: Metadata) -> str | None:
    title = front_matter.get("title")
    return " ".join(str(title).split()) if isinstance(title, str | int | float) else None


def _first_title(writer: PageWriter) -> str | None:
    return next((heading.text for heading in writer.headings if heading.level == 1), None)


class _MarkdownWalk:
    """A single pass through the tokens that writes the visible text to the writer."""

    def __init__(self, writer: PageWriter) -> None:
        self._writer = writer
        self._slugger = Slugger()
        self._heading: Token | None = None
        self._block_rules: dict[str, Callable[[Token], None]] = {
            "inline": self._inline,
            "overlong": self._overlong,
            "heading_open": self._heading_open,
            "heading_close": lambda _: writer.end_block(),
            "paragraph_close": lambda _: writer.end_block(),
            "fence": lambda token: writer.block("code", _visible_code(token)),
            "code_block": lambda token: writer.block("code", token.content),
            "math_block": lambda token: writer.block("code", f"$${token.content}$$"),
            "html_block": lambda token: write_fragment(writer, token.content),
            "bullet_list_open": lambda _: writer.open_list(None),
            "ordered_list_open": lambda token: writer.open_list(int(token.attrs.get("start", 1))),
            "footnote_block_open": lambda _: writer.open_list(1),
            "list_item_open": lambda _: writer.open_item(),
            "footnote_open": lambda _: writer.open_item(),
            "bullet_list_close": lambda _: writer.close_list(),
            "ordered_list_close": lambda _: writer.close_list(),
            "footnote_block_close": lambda _: writer.close_list(),
            "table_open": lambda _: writer.open_table(),
            "th_close": lambda _: writer.end_cell(),
            "td_close": lambda _: writer.end_cell(),
            "tr_close": lambda _: writer.end_row(),
            "table_close": lambda _: writer.close_table(),
            "admonition_title_close": lambda _: writer.end_block(),
        }

    def write(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            if rule := self._block_rules.get(token.type):
                rule(token)

    def _heading_open(self, token: Token) -> None:
        self._heading = token

    def _inline(self, token: Token) -> None:
        children = token.children or []
        heading, self._heading = self._heading, None
        for index, child in enumerate(children):
            if (
                child.type == "math_inline_double"
                and not heading
                and _stands_alone(children, index)
            ):
                self._writer.block("code", f"$${child.content}$$")
            elif child.type == "softbreak" and _is_between_components(children, index):
                self._writer.line_break()
            else:
                self._write_inline(child)
        if heading:
            self._writer.heading(int(heading.tag[1:]), self._anchor(heading, children))
        elif raw := jsx.raw_heading([child.content for child in children]):
            self._writer.heading(*raw)

    def _overlong(self, token: Token) -> None:
        self._heading = None
        self._writer.prose(token.content)

    def _anchor(self, heading: Token, children: Sequence[Token]) -> str | None:
        explicit = heading.attrs.get(HEADING_ID)
        anchor = str(explicit) if explicit else self._slugger.anchor(_slug_text(children))
        # Docusaurus includes level-1 headings when it numbers duplicate ids, but gives them no id.
        return None if heading.tag == "h1" else anchor

    def _write_inline(self, token: Token) -> None:
        match token.type:
            case "text" | "code_inline" | "text_special":
                self._writer.prose(token.content)
            case "softbreak":
                self._writer.prose(" ")
            case "hardbreak":
                self._writer.line_break()
            case "math_inline" | "math_inline_double":
                math = token.content.replace("\n", " ")
                self._writer.verbatim(f"{token.markup}{math}{token.markup}")
            case "html_inline":
                if jsx.tag_name(token.content).lower() in BLOCKS:
                    self._writer.line_break()
            case "mdx_expression":
                self._writer.prose(jsx.string_value(token.content) or "")
            case _:  # emphasis and links keep their text; images and footnote references have none
                pass


def _stands_alone(siblings: Sequence[Token], index: int) -> bool:
    """Whether display math is alone on its lines of the paragraph."""
    around = (*siblings[max(index - 1, 0) : index], *siblings[index + 1 : index + 2])
    return all(token.type in ("softbreak", "hardbreak") for token in around)


def _is_between_components(siblings: Sequence[Token], index: int) -> bool:
    """Whether a component ends before this line break and another one starts or ends after it."""
    before, after = siblings[max(index - 1, 0)], siblings[min(index + 1, len(siblings) - 1)]
    return before.content.startswith("</") and all(
        token.type == "html_inline" and jsx.tag_name(token.content)[:1].isupper()
        for token in (before, after)
    )


def _slug_text(children: Sequence[Token]) -> str:
    """Return the text that a heading's id is made of; unlike its visible text, it includes image texts."""
    return "".join(map(_slug_part, children))


def _slug_part(token: Token) -> str:
    match token.type:
        case "softbreak":
            return "\n"
        case "mdx_expression":  # the JavaScript source, not its value
            return token.content[1:-1]
        case "html_inline":
            return ""
        case _:
            return token.content


def _visible_code(fence: Token) -> str:
    language = fence.info.split(maxsplit=1)[:1]
    if "highlight-" not in fence.content or (language and language[0] in _MARKDOWN_LANGUAGES):
        return fence.content
    return _HIGHLIGHT_COMMENT.sub("", fence.content)
