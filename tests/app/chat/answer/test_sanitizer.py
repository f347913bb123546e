"""Whatever a model writes, no renderer finds a foreign link, an image or a tag in it."""

import re
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.chat.answer.citations import CitedText
from tests.app.chat.passages import passage
from tests.app.chat.renderers import build_renderers, find_active

PAGE = "https://docs.example.com/lamp"
OTHER = "https://docs.example.com/oil"
EVIL = "https://lure.example/x"
NAMED = "http://127.0.0.1:8000/status"
FUEL = passage("Fuel").model_copy(update={"url": f"{PAGE}#fuel"})
FUEL = FUEL.model_copy(update={"text": f"See {NAMED} or setup.py. {FUEL.text}"})
OIL = passage("Signal").model_copy(update={"url": f"{OTHER}#oil", "source_id": UUID(int=2)})
PASSAGES = [FUEL, OIL]
EXPLOITS = [
    f"[1]~~~\n![x]({EVIL}) <img src=x>",
    f"`a`{EVIL}`b` ![x]({EVIL})",
    f"```\n<b>\n\n![x]({EVIL})",
    r"\<script>alert(1)</script>",
    f"a ` b\n![x]({EVIL}) ` <b>",
    "xmpp:me@lure.example HTTPS://EVIL //evil.com www.lure.example me@lure.example",
    "[1]HTTPS://EVIL",
    f"[1]({EVIL}) and [1]: {EVIL}",
    f"[1]: {EVIL}",
    f"![1]({EVIL})",
    f"[a][b]\n\n[b]: {EVIL}",
    f"[^1]\n\n[^1]: ![x]({EVIL})",
    "| `a | <b> | c` |\n|-|-|-|\n| `x | <script> | y` |",
    f"- a\n- ```\n  x\n  ```\n  ![a]({EVIL})",
    f"1. a\n   ```\n![a]({EVIL})\n   ```\n![b]({EVIL})",
    f"> ```\n> code\n![x]({EVIL})",
    "a&#64;evil.com a\\@evil.com a&commat;evil.com a@evil&period;com",
    f"[![x]({EVIL})]({PAGE}) [1]",
    f"{PAGE}@evil.com [1] {PAGE}.evil.com",
    f"<{EVIL}> <a@lure.example> <javascript:alert(1)> [x](javascript:alert(1))",
    f"~~a `b~~ {EVIL}`",
    "    <b>\n\n    <script>\n- x\n\n      <script>",
]
PIECES = [
    *("`", "``", "```", "```sh\n", "~~~\n", "~~~", "    ", "  ", "- ", "> ", "1. ", "2) ", "10. "),
    *("# ", "| ", "|-|\n", "|-|-|\n", "---\n", "===\n", "\n", "\n\n", "word", " ", "!", "[", "]"),
    *(
        "(",
        ")",
        "[a]",
        "](",
        "]:",
        "[a]: ",
        "[^1]: ",
        "<",
        ">",
        "</",
        "<!--",
        "-->",
        "<![CDATA[",
        "\\",
    ),
    *("*", "_", "~~", "<img src=x>", "<script>", "<div>\n", "<a@evil.com>", "//evil.com", "&lt;"),
    *(
        "&#64;",
        "&commat;",
        "&period;",
        "\t",
        '"',
        f"![a]({EVIL})",
        f"[a]({EVIL})",
        f"<{EVIL}>",
        EVIL,
    ),
    *(
        "HTTPS://EVIL",
        "www.evil.com",
        "www.",
        "evil.com",
        "me@evil.com",
        "@",
        ".",
        "com",
        "http:",
        "//",
    ),
    *(
        "xmpp:a@b.c",
        f"[a]({PAGE})",
        f"[a]({OTHER})",
        PAGE,
        f"<{PAGE}>",
        NAMED,
        "setup.py",
        "[1]",
        "[2]",
    ),
    *(
        " [1]",
        "[9]",
        "[1]: ",
        "[1](",
        "例え",
        "é",
        "\r",
        "\u2028",
        "\u200b",
        "\x0b",
        "\xa0",
        ":",
        "&",
        ";",
    ),
    *("\\<", "\\`", "\\!", "\\[", "\\]", "\\@", "\\:", "\\.", f"[b]: {EVIL}\n", "javascript:x()"),
]
STARTS = [
    *(
        "",
        "",
        " ",
        "  ",
        "   ",
        "    ",
        "     ",
        "        ",
        "\t",
        "- ",
        "* ",
        "> ",
        ">",
        "1. ",
        "2. ",
    ),
    *("- > ", "> - ", "-     ", "10. ", "   - "),
]
RESTS = [
    *(
        "```",
        "````",
        "~~~",
        "~~~~",
        "```sh",
        "``` x",
        "``` ` x",
        "`",
        "",
        "word",
        "\\```",
        "<script>",
    ),
    *(
        f"![a]({EVIL})",
        f"` ![a]({EVIL}) `",
        f"[a]({EVIL})",
        "a | b",
        "`a | <b>`",
        "|-|-|",
        "---",
        "-|-",
    ),
    *(
        "# x",
        f"[a]: {EVIL}",
        "[1]",
        "[1]```",
        "[1]~~~",
        "<div>",
        "`a",
        "b`",
        "- x",
        "1. x",
        "word [1]",
    ),
]
LINES = st.tuples(
    st.sampled_from(STARTS), st.lists(st.sampled_from([*RESTS, *PIECES]), max_size=4)
).map(lambda line: line[0] + "".join(line[1]))
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.lists(
    LINES, max_size=12
).map("\n".join)


def answer(text: str, cuts: list[int] | None = None) -> CitedText:
    cited = CitedText(PASSAGES)
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts or []), len(text)]
    events = [event for a, b in pairwise(edges) for event in cited.write(text[a:b])]
    events += cited.close()
    assert "".join(event.text for event in events if event.kind == "token") == cited.text
    return cited


def shown(text: str) -> str:
    return answer(text).text


def foreign(cited: CitedText, targets: set[str]) -> set[str]:
    """What neither leads to a page that the answer cites nor stands in a passage that it cites."""
    pages = {source.url.rstrip("/") for source in cited.sources()}
    named = {NAMED, "http://setup.py"} if PAGE in pages else set[str]()
    return {
        target
        for target in targets
        if target.partition("#")[0].rstrip("/") not in pages and target not in named
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("It burns *oil*.", "It burns *oil*."),
        (f"See [the lamp]({PAGE}) [1].", f"See [the lamp]({PAGE}) [1]."),
        (f"See [the lamp]({PAGE}/#fuel) [1].", f"See [the lamp]({PAGE}/#fuel) [1]."),
        (f"See <{PAGE}> [1].", f"See <{PAGE}> [1]."),
        (f"See {PAGE}. [1]", f"See {PAGE}. [1]"),
        (f"See {PAGE}[1].", f"See <{PAGE}>[1]."),
        (f"See [the lamp]({PAGE}).", f"See [the lamp\\](`{PAGE}`)."),
        (f"See {PAGE}.\n\nOil [1].", f"See `{PAGE}`.\n\nOil [1]."),
        (f"[1] See {PAGE}.", f"[1] See {PAGE}."),
        (f"See [it]({EVIL}) [1].", f"See [it\\](`{EVIL}`) [1]."),
        (f"See {EVIL}, please", f"See `{EVIL}`, please"),
        (f"See <{EVIL}>", f"See &lt;`{EVIL}`>"),
        (f"Open {NAMED} [1].", f"Open {NAMED} [1]."),
        (f"Open {NAMED}/more [1].", f"Open `{NAMED}/more` [1]."),
        (f"Open {NAMED}.", f"Open `{NAMED}`."),
        ("Run setup.py [1].", "Run setup.py [1]."),
        ("Run setup.py.", "Run `setup.py`."),
        (f"![pixel]({EVIL}) [1]", f"!\\[pixel\\](`{EVIL}`) [1]"),
        (f"![pixel]({PAGE}) [1]", f"!\\[pixel\\]({PAGE}) [1]"),
        ("a <b>c</b>", "a &lt;b>c&lt;/b>"),
        ("1 < 2 <- 3 i<3", "1 < 2 <- 3 i<3"),
        (r"\<b>", "&lt;b>"),
        ("run `curl <b> https://x.y | sh`.", "run `curl <b> https://x.y | sh`."),
        (f"```html\n<b>{EVIL}</b>\n```\n<b>", f"```html\n<b>{EVIL}</b>\n```\n&lt;b>"),
        ("  ```\n  <b>\n  ```\n<b>", "  ```\n  <b>\n  ```\n&lt;b>"),
        ("1. Run:\n\n   ```sh\n   a <b>\n   ```", "1. Run:\n\n   ```sh\n   a <b>\n   ```"),
        ("1. Run:\n   ```sh\na <b>\n   ```", "1. Run:\n   ```sh\n   a <b>\n   ```"),
        ("- a\n  - b\n\n    ```\n    <b>\n    ```", "- a\n  - b\n\n    ```\n    <b>\n    ```"),
        ("> ```\n> <b>\n> ```", "> ```\n> <b>\n> ```"),
        ("Code:\n\n    a <b>\n\ntext", "Code:\n\n    a <b>\n\ntext"),
        ("```\n<b>", "```\n<b>\n```"),
        ("a ` b <i>", "a \\` b &lt;i>"),
        ("steps [1]: do", "steps [1]: do"),
        ("[1]: do", "[1]\\: do"),
        ("[1](see)", "[1]\\(see)"),
        ("values [a]: b, array[i], [x] or [y][z]", "values [a]: b, array[i], [x] or [y][z]"),
        ("html, data: that is all, e.g. 3.5 or v2.0", "html, data: that is all, e.g. 3.5 or v2.0"),
        ("sneaky\u200b \U000e0041\u202ewords", "sneaky words"),
    ],
)
def test_what_is_shown(said: str, expected: str) -> None:
    assert shown(said) == expected


@pytest.mark.parametrize("text", EXPLOITS)
def test_known_exploits_are_text_in_every_renderer(text: str) -> None:
    cited = answer(text)
    for name, render in build_renderers().items():
        assert not foreign(cited, find_active(render(cited.text))), (name, cited.text)


@given(TEXTS)
@example(f"```\ncode\n    ```\nx\n```\n![a]({EVIL})")
@example("1. ~~~\n   x\n   ~~~\n   <script>")
@example("`a\nb` <script> `c`")
@example(f"[a](\n{EVIL})")
@example(f"``` ` x\n- \n    ~~~\n[a]: {EVIL}")
@example(f"*\na\n\n    [a]({EVIL})")
@example(f"> ```\n    > \n> {EVIL}")
def test_nothing_foreign_is_live_in_any_renderer(text: str) -> None:
    cited = answer(text)
    for name, render in build_renderers().items():
        assert not foreign(cited, find_active(render(cited.text))), (name, cited.text)


@given(TEXTS, st.lists(st.integers(0), max_size=9))
def test_where_the_model_pauses_makes_no_difference(text: str, cuts: list[int]) -> None:
    assert answer(text, cuts).text == shown(text)


@given(TEXTS)
def test_claims_that_are_said_again_one_by_one_stay_safe(text: str) -> None:
    heard, again = answer(text), CitedText(PASSAGES)
    for part in heard.claim_parts():
        _ = [*again.append(heard.pieces(part))]
    _ = [*again.close()]
    for name, render in build_renderers().items():
        assert not foreign(again, find_active(render(again.text))), (name, again.text)


def test_a_word_is_written_once_the_next_one_begins() -> None:
    text = CitedText(PASSAGES)
    written = [
        "".join(event.text for event in text.write(delta) if event.kind == "token")
        for delta in ("The lamp", " burns", " 油を燃やす", "。")
    ]
    assert written == ["The ", "lamp ", "burns 油を燃やす", "。"]


def test_code_streams_line_by_line() -> None:
    text = CitedText(PASSAGES)
    _ = [*text.write("```sh\n")]
    tokens = "".join(event.text for event in text.write("curl <b>") if event.kind == "token")
    assert tokens == "```sh\ncurl <b>"


def test_a_long_answer_is_read_once() -> None:
    text = shown("".join(f"word{n} `code` and <b>\n" for n in range(20_000)))
    assert text.count("&lt;b>") == 20_000
    assert not re.search(r"<b>", text)
