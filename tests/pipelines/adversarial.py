"""Adversarial inputs of any length, which try to make a parser slow by repetition or nesting."""

from collections.abc import Callable
from itertools import combinations

Input = Callable[[int], str]


def repeat(unit: str, before: str = "", after: str = "") -> Input:
    """Repeat the unit, between a piece before and a piece after."""
    return lambda size: before + unit * (size // len(unit)) + after


def repeat_numbered(unit: str, before: str = "", after: str = "") -> Input:
    """Repeat the unit with a different number in each copy, so that no two are equal."""
    return lambda size: (
        before + "".join(unit.format(n) for n in range(size // (len(unit) + 2))) + after
    )


def growing_runs(unit: str, separator: str = " ") -> Input:
    """Make runs of the unit, each one unit longer than the previous run."""
    return lambda size: separator.join(
        unit * n for n in range(1, int((2 * size / len(unit)) ** 0.5))
    )


def nest(opening: str, closing: str, content: str = "a") -> Input:
    """Nest the pair as deeply as the size allows."""

    def make(size: int) -> str:
        depth = size // (len(opening) + len(closing))
        return opening * depth + content + closing * depth

    return make


def nest_list(marker: str) -> Input:
    """Make nested lists, one level deeper on each line."""
    return lambda size: "".join(f"{'  ' * n}{marker} a\n" for n in range(int(size**0.5)))


RUNS = (
    *'a`*_[]()<>!{}$|~:&\\"\'-#=+.;,?^@/%0 \t\n\x0c\xa0\u3000\u3002\u201c\xdf\u0301\U0001f600>|\ud7ff',
    "ab", "a ", "a\n", " \n", "\t\n", "\n\n", "a\n\n", "*a_ ", "**a", "_a_", "a_b*", "*a **b ", "~~a",
    "[[", "![", "[a]", "[a](", "[a](b)", "[a](<", '[a](b "', "![a](b)", "[a][", "[a][b]", "[^1]", "^[a",
    "[a]: b\n", "[a]:\n", "[^1]: a\n", "[^1]:\n    a\n", "`a", "``a`", "```\n", "~~~\n", "```a```\n",
    "> ", ">\n", "> a\n", "- ", "-\n", "- a\n", "* * ", "1. ", "1. a\n", "1) a\n\n", "- [ ] a\n",
    "# a\n", "#\n", "# a {#b}\n", "# a {#", "a\n=\n", "a\n---\n", "---\n", "***\n", "    a\n", "  \n",
    "|a", "a|b\n", "a|b\n-|-\n", "|a|\n|-|\n|b|\n\n", "|-", "|:-:", ":::\n", ":::note\n", ":::a[",
    ":::a{", "::: a\n", "!!! note\n", "!!! note\n    a\n", "> [!NOTE]\n", "$a", "$a$", "$$a", "$$a$$",
    "$$\n", "\\$", "\\\\", "\\(", "&#", "&amp;", "&#x41;", "&a", "&lt;", "<a", "<a ", "<a>", "</a>",
    "<a b", "<a b=", '<a b="', "<a b='c' ", "<A", "<A ", "<A>", "<A/>", "</A>", "<A b={", "<A b={c}",
    "<A b={}/>", "<A {...b} ", "<>", "</>", "<a\n", "<A\n", "<!--", "<!-- a -->", "-->", "<!", "<!a",
    "<?", "<?a?>", "<![CDATA[", "]]>", "<http://a", "<a@b", "http://a ", "{a}", "{{", "{/*", "{/* a */}",
    "{'", "{`", "{'a'}", '{"a\\', "${", "/*", "//", "*/", "import a from 'b'\n", "import ", "import {",
    "export ", "export const a = {", "export const a = {}\n\n", "export {\n", "import {a, ",
    "import a, ", "<style>", "<script>", "<svg>", "<title>", "<div>", "<div>\n", "</div>", "<div>\n\n",
    "<p>", "<p>a", "<p>a</p>", "<b>", "<b><i>", "</b></i>", "<b><p>", "<a href=#>", "<a href='#'>b</a>",
    "<sup>", "<sup><a href='#b'>", "<li>", "<ul><li>", "<ol start=9>", "<table>", "<table><tr><td>",
    "<tr>", "<td>", "<td>a", "<th>", "<h1>", "<h1>a</h1>", "<h1 id=a>b</h1>", "<section><h2>a</h2>",
    "<section>", "<header>", "<form>", "<article>", "<main>", "<pre>", "<pre>a</pre>", "<br>", "<hr>",
    "<math>", "<math><annotation>", "<select>", "<option>", "<button>", "<template>", "<nobr>",
    "<a name=b></a>", "<details><summary>a</summary>", "<meta name=a content=b>", "<noscript>",
    "<iframe>", "<textarea>", "<caption>", '""', '","', '"a""', '"a",', "a,", "a;b\n", "a\tb\n", '"\n',
    "{\\rtf1", "\\par ", "A. ", "A.B. ", "Mr. ", "e.g. ", "a.\xa0B. ", "Is it? ", "a! ",
    "\u201ca\u201d ", "\u201ca. ", "(a. ", "1.2.", "...", "a:\n", "a: b\n", "- - a\n", "* a\n\n",
    "a  \n", "a\\\n", "// highlight-next-line\n", "\x1b[", "\x1b[0m", "\\n", "\\u0041", "docs: {",
    "docs: { a: '", "plugin-content-docs',",
)  # fmt: skip

INPUTS: dict[str, Input] = {
    **{f"{run!r} repeated": repeat(run) for run in RUNS},
    "a component's name that never ends": repeat("a", "<div>\n<A"),
    "a tag that never ends": repeat(" b=c", "<div>\n<A"),
    "a tag in a paragraph that never ends": repeat(" b=c", "a <b"),
    "a property that never ends": repeat("b", "<A c={"),
    "an attribute that never ends": repeat("b", '<A c="'),
    "paragraphs in a component": repeat("a\n\n", "<A>\n", "</A>\n"),
    "front matter that never ends": repeat("a: b\n", "---\n"),
    "front matter with the same key": repeat("a: b\n", "---\n", "---\n"),
    "front matter with many keys": repeat_numbered("k{}: b\n", "---\n", "---\nc\n"),
    "front matter that nests": repeat("[", "---\na: ", "\n---\n"),
    "front matter of one word": repeat("a", "---\na: ", "\n---\n"),
    "front matter of blanks": repeat(" ", "---\na:", "\n---\n"),
    "front matter of line breaks": repeat("\n", "---\n", "---\n"),
    "front matter that is broken": repeat("a: 'b \n", "---\nc: [\n", "---\n"),
    "a broken front matter's line of blanks": lambda size: (
        "---\na: [\nb: c" + " " * min(size, 60_000) + "d\n---\n" + "e " * (size // 2)
    ),
    "a label that never ends": repeat("]{", ":::a[", "b"),
    "junk before headings": lambda size: (
        "<section>" + "<i></i>" * (size // 14) + "<h2>a</h2>" * (size // 20) + "</section>"
    ),
    "front matter after line breaks": repeat("\n", "", "---\na: b\n---\n"),
    "line breaks before no front matter": repeat("\n-"),
    "a fence that never ends": repeat("a\n", "```\n"),
    "highlighted lines": repeat("// highlight-next-line\na\n", "```js\n", "```\n"),
    "blanks before no highlighted line": repeat("\t", "```js\nhighlight-\n", "\n```\n"),
    "mdx-code-block": repeat("```mdx-code-block\n"),
    "many footnotes": repeat_numbered("a[^{0}]\n\n[^{0}]: b\n\n"),
    "many uses of a footnote": repeat("a[^1] ", "", "\n\n[^1]: b\n"),
    "many references": repeat_numbered("[a{0}]: b\n"),
    "many uses of references": repeat_numbered("[a{0}]\n\n[a{0}]: b\n\n"),
    "many headings": repeat_numbered("# a{}\n\n"),
    "the same heading": repeat("## a\n\nb\n\n"),
    "headings within headings": repeat("# a\n\n## b\n\n### c\n\n#### d\n\n##### e\n\n###### f\n\n"),
    "slugs that look numbered": repeat_numbered("# a\n\n# a-{}\n\n"),
    "many paragraphs": repeat("It shines.\n\n"),
    "one long paragraph": repeat("It shines. "),
    "one long line of a list": repeat("It shines. ", "- "),
    "a table of many rows": repeat("|c|d|\n", "|a|b|\n|-|-|\n"),
    "a table of many columns": lambda size: (
        f"{'|a' * (size // 6)}|\n{'|-' * (size // 6)}|\n{'|b' * (size // 6)}|\n"
    ),
    "a table that names many columns and has many rows": lambda size: (
        f"{'|a' * int(size**0.5)}|\n{'|-' * int(size**0.5)}|\n" + "|\n" * (size // 4)
    ),
    "a row of code that never ends": repeat("`|", "|a|b|\n|-|-|\n|"),
    "runs of backticks": growing_runs("`"),
    "runs of dollars": growing_runs("$"),
    "runs of stars": growing_runs("*", " a"),
    "runs of tildes": growing_runs("~", "\na\n"),
    "runs of hashes": growing_runs("#", "\n"),
    "lists within lists": nest_list("-"),
    "numbered lists within lists": nest_list("1."),
    "quotes within lists": nest_list("- >"),
    "code in lists within lists": lambda size: "".join(
        f"{'  ' * n}- a\n\n{'  ' * n}      b\n\n" for n in range(int((size / 2) ** 0.5))
    ),
    "quoted lazily": repeat("a\n", "> "),
    "nested quotes, lazily": lambda size: "> " * (size // 3) + "a\n" + "b\n" * (size // 3),
    "nested lists, lazily": lambda size: "- " * (size // 3) + "a\n" + "b\n" * (size // 3),
    "braces in braces": nest("{", "}"),
    "braces in a property": nest("{", "}", "<A b={}/>"),
    "components in components": nest("<A>\n", "</A>\n"),
    "components in components on a line": nest("<Aa>", "</Aa>"),
    "elements in elements": nest("<div>", "</div>"),
    "spans in spans": nest("<span>", "</span>"),
    "tables in tables": nest("<table><tr><td>", "</td></tr></table>"),
    "lists in lists of HTML": nest("<ul><li>", "</li></ul>"),
    "sections in sections": nest("<section>", "</section>", "<h2>a</h2>"),
    "headings in sections": nest("<section><h2>a</h2>", "</section>"),
    "articles": repeat("<article><h1>a</h1></article>"),
    "headers in headers": nest("<header>", "</header>", "a"),
    "forms in divs": nest("<div><form>", "</form></div>"),
    "sups in sups": nest("<sup>", "</sup>", "<a>b</a>"),
    "links in links": nest("<b><a href='#c'>", "</a></b>"),
    "a table of HTML": repeat("<tr><td>a</td></tr>", "<table>", "</table>"),
    "a page in one line": repeat("<p>It <b>shines</b>.</p>", "<html><body><main>", "</main>"),
    "text before headings": repeat("<a></a>\n<h2>b</h2>"),
    "siblings before a heading": repeat(" <!-- a -->", "<main>", "<h2>b</h2></main>"),
    "attributes": repeat_numbered(" a{}=b", "<p", ">c</p>"),
    "brackets in brackets": nest("[", "]"),
    "brackets in brackets with an address": nest("[", "](b)"),
    "images in images": nest("![", "](b)"),
    "parentheses in an address": nest("(", ")", "[a](b)"),
    "emphasis in emphasis": nest("*a ", " b*"),
    "strong in emphasis": nest("*a **b ", " c** d*"),
    "escapes": repeat("\\*"),
    "entities that are none": repeat("&notanentity"),
    "sentences": repeat("It shines. "),
    "sentences in quotation marks": repeat('"It shines." '),
    "sentences without an end": repeat("it shines "),
    "initials": repeat("J. R. "),
    "code in a sentence": repeat("`a` "),
    "prices": repeat("$5 and "),
    "formulas": repeat("$a$ "),
    "a formula that never ends": repeat("a ", "$"),
    "formulas that never end": repeat("$a\n"),
    "displayed formulas that never end": repeat("a$$"),
    "bullets": repeat("- ", "", "a"),
    "a wide line and narrow ones": repeat("a\n", "a" * 80 + "\n"),
    "lines of one word": repeat("a" * 60 + "\n"),
    "quoted cells": repeat('"a","b"\n'),
    "a quoted cell that never ends": repeat("a\n", '"'),
    "quotation marks in cells": repeat('"",""\n'),
    "separators": repeat(",;|\t\n"),
    "empty rows": repeat(",,,,\n"),
}  # fmt: skip

PAIRS: dict[str, Input] = {
    f"{''.join(pair)!r}": repeat("".join(pair))
    for pair in combinations("`*_[]()<>!{}$|~:&\\\"'-#", 2)
}
