"""markdown-it rules for MDX: remove the JavaScript and keep the Markdown between it."""

import re
from collections.abc import Callable, Sequence

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType

from pipelines.readers.markdown import jsx

_MODULE_LINE = re.compile(
    r"""import\s+(?:(?:type\s+)?[\w$*{][\w$\s,*{}]{0,4000}?\sfrom\s*|(?:type\s+)?\{[\w$\s,]{0,4000}\}\s*from\s*)?["']
    |export\s+(?:(?:default|const|let|var|function|async|class|type|interface|enum)\b|[{*])""",
    re.VERBOSE,
)
# A component's tag, a fragment, or a property in braces; `<BR/>` is only old HTML.
_JSX_MARKUP = re.compile(r"</[A-Z]\w*[a-z]|<[A-Z](?=\w*[a-z])[^<>]*/>|</?>|<[A-Za-z][^<>]*=\{")
_COMMENT, _COMMENT_START = "{/*", "{/"
_FENCE = re.compile(r"(`{3,})[ \t]*mdx-code-block[ \t]*")
# After this many unclosed pieces, the page is not MDX: its braces and angle brackets are text.
_MOST_UNCLOSED = 200
_TAG_START = re.compile(r"<(?:[A-Za-z_$/>]|!--)")


def mdx_plugin(parser: MarkdownIt) -> None:
    """Add the MDX rules; disable indented code, inline HTML and HTML blocks, which MDX does not have."""
    parser.disable(["code", "html_block", "html_inline"])
    parser.block.ruler.before("table", "mdx_module", _skip_module)
    parser.block.ruler.before(
        "table", "mdx_flow", _skip_flow, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.inline.ruler.before("autolink", "mdx_tag", _inline_tag)
    parser.inline.ruler.before("autolink", "mdx_expression", _inline_expression)


def looks_like_mdx(tokens: Sequence[Token]) -> bool:
    """Whether a page parsed as plain Markdown contains JSX or JavaScript.

    Docusaurus allows MDX in `.md` files.
    """
    for token in tokens:
        if token.type == "html_block" and _JSX_MARKUP.search(token.content):
            return True
        if token.type != "inline":
            continue
        if token.level == 1 and _MODULE_LINE.match(token.content):
            return True
        is_commented = _COMMENT in token.content
        for child in token.children or ():
            if child.type == "html_inline" and _JSX_MARKUP.search(child.content):
                return True
            if is_commented and child.type == "text" and _COMMENT_START in child.content:
                return True  # not in inline code, where a comment is text
    return False


def unwrap_mdx_fences(source: str) -> str:
    """Remove ```mdx-code-block fences and keep their content, as Docusaurus does before it parses."""
    if "mdx-code-block" not in source:
        return source
    kept: list[str] = []
    fence: str | None = None
    for line in source.split("\n"):
        opening = _FENCE.fullmatch(line) if fence is None else None
        if opening:
            fence = opening[1]
        elif fence is not None and line.rstrip() == fence:
            fence = None
        else:
            kept.append(line)
    return "\n".join(kept)


def _find_end(
    env: EnvType, find_end: Callable[[str, int], int | None], source: str, start: int
) -> int | None:
    """Call `find_end`, or return None once the page has had too many unclosed pieces."""
    unclosed: int = env.get("unclosed", 0)
    if unclosed >= _MOST_UNCLOSED:
        return None
    end = find_end(source, start)
    if end is None:
        env["unclosed"] = unclosed + 1
    return end


def _skip_module(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Skip an `import` or `export`, which may have blank lines inside its brackets."""
    start = state.bMarks[start_line]
    if silent or state.level or not _MODULE_LINE.match(state.src, start):
        return False
    end = _find_end(state.env, jsx.statement_end, state.src, start)
    if end is None:
        blank_line = state.src.find("\n\n", start)
        end = len(state.src) if blank_line < 0 else blank_line
    state.line = _line_after(state, start_line, end_line, end)
    return True


def _skip_flow(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Skip lines that contain only tags, comments and expressions."""
    end = state.bMarks[start_line] + state.tShift[start_line]
    while end < len(state.src) and state.src[end] != "\n":
        piece = _flow_piece_end(state, end)
        if piece is None:
            return False
        end = state.skipSpaces(piece)
    if end > state.eMarks[end_line - 1]:
        return False
    if not silent:
        state.line = _line_after(state, start_line, end_line, end)
        _dedent(state, state.line, end_line)
    return True


def _dedent(state: StateBlock, line: int, end_line: int) -> None:
    """Remove the indentation of the lines after a tag, so that Markdown parses them correctly."""
    indent = state.sCount[state.skipEmptyLines(line)] - state.blkIndent
    while indent > 0 and line < end_line:
        if not state.isEmpty(line):
            if state.sCount[line] - state.blkIndent < indent:
                return
            blanks, columns = 0, 0
            while columns < indent and blanks < state.tShift[line]:
                is_tab = state.src[state.bMarks[line] + blanks] == "\t"
                columns += 4 - columns % 4 if is_tab else 1
                blanks += 1
            state.bMarks[line] += blanks
            state.tShift[line] -= blanks
            state.sCount[line] -= columns
        line += 1


def _flow_piece_end(state: StateBlock, start: int) -> int | None:
    if _TAG_START.match(state.src, start):
        return _find_end(state.env, jsx.tag_end, state.src, start)
    if state.src[start] != "{":
        return None
    end = _find_end(state.env, jsx.expression_end, state.src, start)
    # A string expression is visible text, so it remains part of the paragraph.
    return None if end is None or jsx.string_value(state.src[start:end]) is not None else end


def _line_after(state: StateBlock, line: int, end_line: int, position: int) -> int:
    while line < end_line and state.bMarks[line] < position:
        line += 1
    return line


def _inline_tag(state: StateInline, silent: bool) -> bool:
    is_tag = _TAG_START.match(state.src, state.pos)
    return bool(is_tag) and _parse_inline(state, silent, "html_inline", jsx.tag_end)


def _inline_expression(state: StateInline, silent: bool) -> bool:
    is_brace = state.src[state.pos] == "{"
    return is_brace and _parse_inline(state, silent, "mdx_expression", jsx.expression_end)


def _parse_inline(
    state: StateInline, silent: bool, kind: str, find_end: Callable[[str, int], int | None]
) -> bool:
    end = _find_end(state.env, find_end, state.src, state.pos)
    if end is None:
        return False
    if not silent:
        token = state.push(kind, "", 0)
        token.content = state.src[state.pos : end]
    state.pos = end
    return True
