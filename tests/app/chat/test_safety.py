"""Whatever a model writes, a reader's Markdown links to the sources only, and loads and runs nothing."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.chat.safety import REMOVED, SafeText
from tests.app.chat.passages import passage

PAGE = "https://docs.example.com/lamp"
EVIL = "https://lure.example/x"
NAMED = "http://127.0.0.1:8000/status"
SOURCE = passage("Fuel").model_copy(
    update={"url": f"{PAGE}#fuel", "text": f"See {NAMED} for more."}
)
PIECES = [
    *("`", "``", "```", "```sh\n", "~~~\n", "    ", "  ", "- ", "> ", "1. ", "# ", "| ", "|-|\n"),
    *(
        "\n",
        "\n\n",
        "word",
        " ",
        "!",
        "[",
        "]",
        "(",
        ")",
        "[a]",
        "](",
        "]:",
        "[a]: ",
        "<",
        ">",
        "</",
    ),
    *(
        "<!--",
        "-->",
        "\\",
        "*",
        "<img src=x>",
        "<script>",
        "//lure.example",
        "javascript:x()",
        "&lt;",
    ),
    *("\t", '"', f"![a]({EVIL})", f"[a]({EVIL})", f"<{EVIL}>", EVIL, f"[a]({PAGE})"),
]
STARTS = ["", "", " ", "  ", "   ", "    ", "        ", "\t", "- ", "> ", "1. ", "- > "]
RESTS = [
    *("```", "```", "````", "~~~", "~~~~", "```sh", "``` x", "``` ` x", "`", "", "word", "\\```"),
    *("<script>", f"![a]({EVIL})", f"` ![a]({EVIL}) `", f"[a]({EVIL})"),
]
LINES = st.tuples(st.sampled_from(STARTS), st.sampled_from(RESTS)).map("".join)
_MARKDOWN = MarkdownIt("commonmark").enable("table")


def safe(text: str, cuts: list[int] | None = None) -> str:
    words = SafeText([SOURCE])
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts or []), len(text)]
    given_ = [words.feed(text[a:b]) for a, b in pairwise(edges)]
    return "".join([*given_, words.close()])


def tokens(text: str) -> list[Token]:
    found = _MARKDOWN.parse(text)
    return [one for token in found for one in (token, *(token.children or ()))]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("It burns *oil*.", "It burns *oil*."),
        (f"See [the lamp]({PAGE}).", f"See [the lamp]({PAGE})."),
        (f"See [the lamp]({PAGE}/#fuel).", f"See [the lamp]({PAGE}/#fuel)."),
        (f"See <{PAGE}>.", f"See <{PAGE}>."),
        (f"See {PAGE}.", f"See {PAGE}."),
        (f"See [it]({EVIL}).", r"See [it\]."),
        (f"See [it]({PAGE}@lure.example).", r"See [it\]."),
        (f"See {EVIL}, please", f"See {REMOVED}, please"),
        (f"See <{EVIL}>", f"See {REMOVED}"),
        (f"Open {NAMED}.", f"Open `{NAMED}`."),
        (f"![pixel]({EVIL})", r"[pixel\]"),
        (f"!![lamp]({PAGE})", f"[lamp]({PAGE})"),
        ("a <b>c</b>", "a &lt;b>c&lt;/b>"),
        ("1 < 2 <- 3", "1 < 2 <- 3"),
        (r"\<b> \![a]", r"\<b> \![a]"),
        ("run `curl <b> https://x.y`.", "run `curl <b> https://x.y`."),
        (f"```html\n<b>{EVIL}</b>\n```\n<b>", f"```html\n<b>{EVIL}</b>\n```\n&lt;b>"),
        ("  ```\n  <b>\n  ```\n<b>", "  ```\n  <b>\n  ```\n&lt;b>"),
        ("a ` b <i>", "a ` b &lt;i>"),
        ("mailto:me@lure.example", REMOVED),
        ("html, data: that is all", "html, data: that is all"),
    ],
)
def test_what_is_shown(said: str, shown: str) -> None:
    assert safe(said) == shown


@given(
    st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
    | st.lists(LINES, max_size=12).map("\n".join)
)
@example(f"```\ncode\n    ```\nx\n```\n![a]({EVIL})")
@example(f"- ```\n  x\n  ```\n  ![a]({EVIL})")
@example(f"```\nx\n``` y\n```\n![a]({EVIL})")
@example("1. ~~~\n   x\n   ~~~\n   <script>")
@example("`a\nb` <script> `c`")
@example("| `a | <script> | b` |\n|-|-|-|\n")
@example("1. x\n   ```\n<script>")
@example(" ```\ncode\n```\n<script>\n```")
@example("\\\\`a` <script> `b`")
@example(f"[a](\n{EVIL})")
@example("[a](\n//lure.example)")
@example("[a][b]\n\n[b]: //lure.example")
def test_no_reader_of_markdown_is_led_astray(text: str) -> None:
    shown = safe(text)
    for token in tokens(shown):
        assert token.type not in ("html_inline", "html_block", "image"), shown
        if token.type == "link_open":
            assert str(token.attrs["href"]).startswith(PAGE), shown


@given(
    st.lists(st.sampled_from(PIECES), max_size=20).map("".join)
    | st.lists(LINES, max_size=8).map("\n".join),
    st.lists(st.integers(0), max_size=9),
)
def test_where_the_model_pauses_makes_no_difference(text: str, cuts: list[int]) -> None:
    assert safe(text, cuts) == safe(text)


@pytest.mark.parametrize("word", ["The ", "lamp ", "burns", " 2.4", " litres. "])
def test_plain_words_are_not_held_back(word: str) -> None:
    words = SafeText([])
    words.feed("So. ")
    assert words.feed(word) == word


def test_a_long_answer_is_read_once() -> None:
    words = SafeText([])
    said = "".join(words.feed(f"word{n} `code` and <b>\n") for n in range(20_000))
    assert said.count("&lt;b>") == 20_000
    assert not re.search(r"<b>", said)
