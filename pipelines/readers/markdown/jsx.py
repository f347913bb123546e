"""Find where a piece of JSX or JavaScript ends; no code is run or parsed further."""

import re
from collections.abc import Sequence

# In characters. A limit on each piece, so that no page makes a scan very slow.
LONGEST = 20_000

_NAME = re.compile(r"<(/?)[ \t]*([A-Za-z_$][\w$.:-]*)?")
_ATTRIBUTE = re.compile(
    r"""\s+(?:[A-Za-z_$@:][\w$.:@-]*(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>`{}]+|(?P<value>(?=\{))))?
    |(?P<spread>(?=\{)))""",
    re.VERBOSE,
)
_RAW_HEADING = re.compile(r"<(h[1-6])[\s>]")
_ID = re.compile(r"""\sid=(["'])([^"']+)\1""")
_TAG_END = re.compile(r"\s*/?>")
# Strings, templates and comments match as a whole; a single apostrophe counts as prose.
# An unclosed template or comment matches to the end of the text, which keeps the scan linear.
_JAVASCRIPT = re.compile(
    r""" "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `(?:[^`\\]|\\.)*`?
    | (?<![:\w])//[^\n]* | /\*(?:.*?\*/|.*)
    | (?P<open>[{(\[]) | (?P<close>[})\]]) | (?P<blank>\n[ \t]*(?=\n|\Z))""",
    re.VERBOSE | re.DOTALL,
)
_STRING = re.compile(r"""\{\s*(["'`])((?:(?!\1)[^\\]|\\.)*)\1\s*\}""", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_CONTROL_ESCAPES = {"n": "\n", "t": "\t", "r": "\n"}
_COMMENT_CLOSE = "-->"
# The content of these elements goes into the page's head or is drawn, so it is not text.
_UNREAD = frozenset({"head", "script", "style", "svg", "title"})


def tag_end(source: str, start: int) -> int | None:
    """Return the end of the tag, fragment or HTML comment that starts at `start`, or None.

    For an element that is not read, such as `<style>`, return the end of the whole element.
    """
    if source.startswith("<!--", start):
        end = source.find(_COMMENT_CLOSE, start + 4)
        return None if end < 0 else end + len(_COMMENT_CLOSE)
    limit = start + LONGEST
    name = _NAME.match(source, start, limit)
    if name is None:
        return None
    position = name.end()
    while attribute := _ATTRIBUTE.match(source, position, limit) if name[2] else None:
        position = attribute.end()
        if attribute.lastgroup:
            braces_end = expression_end(source, position)
            if braces_end is None:
                return None
            position = braces_end
    closed = _TAG_END.match(source, position, limit)
    if closed is None:
        return None
    if name[2] in _UNREAD and not name[1] and not closed[0].endswith("/>"):
        closing = source.find(f"</{name[2]}>", closed.end(), limit)
        return None if closing < 0 else closing + len(f"</{name[2]}>")
    return closed.end()


def tag_name(tag: str) -> str:
    """Return the tag's name, such as `TabItem` for `</TabItem>`; empty for a fragment or a comment."""
    name = _NAME.match(tag)
    return (name[2] or "") if name else ""


def expression_end(source: str, start: int) -> int | None:
    """Return the end of the `{…}` that starts at `start`, or None if it is not closed."""
    depth = 0
    for token in _JAVASCRIPT.finditer(source, start, start + LONGEST):
        if token["open"]:
            depth += 1
        elif token["close"]:
            depth -= 1
            if depth == 0:
                return token.end()
    return None


def statement_end(source: str, start: int) -> int | None:
    """Return the end of an `import` or `export` at `start`: the first blank line outside all brackets."""
    depth = 0
    for token in _JAVASCRIPT.finditer(source, start, start + LONGEST):
        if token["open"]:
            depth += 1
        elif token["close"]:
            depth -= 1
        elif token["blank"] and depth <= 0:
            return token.start()
    return len(source) if depth <= 0 and len(source) <= start + LONGEST else None


def raw_heading(pieces: Sequence[str]) -> tuple[int, str | None] | None:
    """Return the level and id of a heading written as a tag around all pieces of a paragraph, or None."""
    opening = _RAW_HEADING.match(pieces[0]) if pieces else None
    if opening is None or pieces[-1] != f"</{opening[1]}>":
        return None
    named = _ID.search(pieces[0])
    return int(opening[1][1]), named[2] if named else None


def string_value(expression: str) -> str | None:
    """Return the text that `{'…'}` puts on the page; None unless the expression is one plain string."""
    literal = _STRING.fullmatch(expression)
    if literal is None or (literal[1] == "`" and "${" in literal[2]):
        return None
    return _ESCAPE.sub(_unescape, literal[2])


def _unescape(escape: re.Match[str]) -> str:
    if code := escape[1] or escape[2]:
        return chr(int(code, 16))
    return _CONTROL_ESCAPES.get(escape[3], escape[3])
