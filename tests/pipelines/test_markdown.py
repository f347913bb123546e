"""Tests of Markdown: the text is what a person sees on the page."""

import subprocess
import sys
from textwrap import dedent

import pytest

from storage.errors import SourceUnreadable
from tests.pipelines.pages import code_of, outline, read_page


def text_of(source: str) -> str:
    return read_page(dedent(source)).text


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("Wind the *clock* **twice** a ~~month~~ day.", "Wind the clock twice a month day."),
        ("See [the `lamp` page](lamp.md 'title') now.", "See the lamp page now."),
        ("Before ![a drawing](lamp.png) after.", "Before after."),
        ("Set ``a `b` c`` at once.", "Set a `b` c at once."),
        ("One line\nand the next.", "One line and the next."),
        ("One line  \nand the next.\\\nThe third.", "One line\nand the next.\nThe third."),
        ("Salt &amp; pepper &lt;3 \\*stars\\*", "Salt & pepper <3 *stars*"),
        ("Mail <keeper@example.org> or <https://example.org>.", "Mail keeper@example.org or https://example.org."),
        ("Press <kbd>F1</kbd><!-- always --> or<br>wait.", "Press F1 or\nwait."),
        ("Above\n\n---\n\nbelow", "Above\n\nbelow"),
        ("> Quoted\n> words\n>\n> > deeper", "Quoted words\n\ndeeper"),
        ("Too    many\u00a0 spaces", "Too many\u00a0 spaces"),
        ("Setext\n======\n\ntext", "Setext\n\ntext"),
    ],
)  # fmt: skip
def test_markup_goes_and_words_stay(source: str, seen: str) -> None:
    assert text_of(source) == seen


def test_lists_keep_their_bullets_numbers_and_nesting() -> None:
    source = """\
        Before:

        - one
        - two
          - inner *one*
            1. innermost
        - three

          goes on

        7. seven
        8. eight
        """
    assert text_of(source) == (
        "Before:\n\n- one\n- two\n  - inner one\n    1. innermost\n- three\n\n  goes on"
        "\n\n7. seven\n8. eight"
    )


def test_a_table_is_a_row_a_line() -> None:
    source = """\
        | Lamp | Range |
        |------|:-----:|
        | *Skerry* | 12 `nm` |
        |  | 3<br>4 |
        |  |  |
        """
    reading = read_page(dedent(source))
    assert reading.text == "Lamp | Range\nSkerry | 12 nm\n| 3 4"
    assert [block.kind for block in reading.blocks] == ["table"]


def test_code_blocks_are_verbatim_and_marked() -> None:
    source = """\
        Run:

        ```sh title="ignite.sh"
        lampctl ignite \\
            --pressure 3
        ```

            indented = True

        ```mermaid
        graph TD; A-->B
        ```
        Inline `code` is prose.
        """
    reading = read_page(dedent(source))
    assert code_of(reading) == [
        "lampctl ignite \\\n    --pressure 3",
        "indented = True",
        "graph TD; A-->B",
    ]
    assert "```" not in reading.text


def test_the_first_line_of_code_keeps_its_indent_outside_the_span() -> None:
    reading = read_page("Text\n\n```\n    deep\n  less\n```\n")
    assert reading.text == "Text\n\n    deep\n  less"
    assert code_of(reading) == ["deep\n  less"]


def test_comments_that_only_highlight_lines_are_not_seen() -> None:
    source = "```js\n// highlight-next-line\nlight();\n/* highlight-start */\nturn();\n```\n"
    assert text_of(source) == "light();\nturn();"
    shown = "```md\n<!-- highlight-next-line -->\n# Title\n```\n"
    assert text_of(shown) == "<!-- highlight-next-line -->\n# Title"


def test_math_is_verbatim_with_its_dollars() -> None:
    source = """\
        The flash $T_1 = \\frac{a_b}{c_d}$ costs $5 and not $10.

        $$
        T = 2\\pi_*x*
        $$

        It follows that
        $$ a * b * c $$
        and so on. In a line $$x$$ it stays.
        """
    reading = read_page(dedent(source))
    assert reading.text == (
        "The flash $T_1 = \\frac{a_b}{c_d}$ costs $5 and not $10.\n\n"
        "$$\nT = 2\\pi_*x*\n$$\n\n"
        "It follows that\n\n$$ a * b * c $$\n\nand so on. In a line $$x$$ it stays."
    )
    assert code_of(reading) == ["$$\nT = 2\\pi_*x*\n$$", "$$ a * b * c $$"]


def test_admonitions_keep_title_and_content() -> None:
    source = """\
        ::::tip Mind the *wind*
        Close the shutters.
        :::note[Second `title`]{.class #id}
        - Inside
        :::
        ::::
        After.

        :::warning

        Untitled.

        :::

        !!! danger "Hot"
            Do not touch.

        > [!NOTE]
        > An alert.
        """
    assert text_of(source) == (
        "Mind the wind\n\nClose the shutters.\n\nSecond title\n\n- Inside\n\nAfter.\n\nUntitled."
        "\n\nHot\n\nDo not touch.\n\nAn alert."
    )


def test_html_in_markdown_shows_its_text() -> None:
    source = """\
        <!-- hidden
        over lines -->
        <details>
        <summary>More</summary>

        The *inner* text.

        </details>

        <table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>

        <style>p { color: red }</style>
        <p align="center">Centred<br/>text</p>
        """
    assert text_of(source) == "More\n\nThe inner text.\n\nA | B\n1 | 2\n\nCentred\ntext"


def test_footnotes_stand_at_the_end_and_leave_no_mark() -> None:
    source = "A claim.[^a] Another.\n\n[^a]: Its *ground*.\n\nLast words.\n"
    assert text_of(source) == "A claim. Another.\n\nLast words.\n\n1. Its ground."


def test_sections_follow_the_headings() -> None:
    reading = read_page("Intro.\n\n## A\n\na\n\n#### Deep\n\nd\n\n## B\n\nb\n", "guide/my-page.md")
    assert outline(reading) == [
        (("My page",), None),
        (("My page", "A"), "a"),
        (("My page", "A", "Deep"), "deep"),
        (("My page", "B"), "b"),
    ]
    assert [reading.text[s.start : s.end] for s in reading.sections] == [
        "Intro.\n\n",
        "A\n\na\n\n",
        "Deep\n\nd\n\n",
        "B\n\nb",
    ]


def test_the_pages_own_heading_is_the_root_even_under_another_title() -> None:
    reading = read_page("---\ntitle: Short\n---\n# A longer title\n\nx\n\n## Part\n\ny\n")
    assert reading.title == "Short"
    assert outline(reading) == [(("Short",), None), (("Short", "Part"), "part")]


def test_later_headings_of_the_first_rank_are_parts_of_the_page() -> None:
    reading = read_page("# One\n\na\n\n## Sub\n\nb\n\n# Two\n\nc\n\n## Sub\n\nd\n")
    assert outline(reading) == [
        (("One",), None),
        (("One", "Sub"), "sub"),
        (("One", "Two"), None),
        (("One", "Two", "Sub"), "sub-1"),
    ]


def test_front_matter_is_metadata_not_text() -> None:
    source = """\
        ---
        title: "The lamp: how"
        slug: /lamp
        lang: de
        date: 2021-05-06
        tags: [a, b]
        nested: {when: 2021-05-06T07:08:09, ratio: .nan}
        ---
        Text.
        """
    reading = read_page(dedent(source))
    assert (reading.title, reading.text, reading.language) == ("The lamp: how", "Text.", "de")
    assert reading.metadata == {
        "date": "2021-05-06",
        "tags": ["a", "b"],
        "nested": {"when": "2021-05-06T07:08:09", "ratio": "nan"},
    }


@pytest.mark.parametrize(
    "broken",
    [
        "other: a: b",
        "x: *nowhere",
        "x: &a [*a]",
        "x: " + "[" * 5000,
        "x: 2021-99-99",
        "x: 0x" + "f" * 5000,
    ],
)
def test_broken_front_matter_costs_neither_the_page_nor_its_title(broken: str) -> None:
    reading = read_page(f"---\ntitle: 'Lamp'\n{broken}\n---\nText.\n")
    assert (reading.title, reading.text) == ("Lamp", "Text.")


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    assert text_of("---\n\nJust text\n\n---\n\nmore") == "Just text\n\nmore"


@pytest.mark.parametrize(
    ("title", "read"), [("2024", "2024"), (">\n  Two\n  lines", "Two lines"), ("[a]", "Lamp")]
)
def test_titles_of_every_kind(title: str, read: str) -> None:
    assert read_page(f"---\ntitle: {title}\n---\nText.", "lamp.md").title == read


def test_what_was_never_meant_as_a_name_is_shortened() -> None:
    reading = read_page(f"# {'very ' * 100}long\n\n## {'x' * 300}\n\ntext")
    assert len(reading.title) <= 200
    assert max(map(len, reading.sections[-1].path)) == 200
    assert "x" * 300 in reading.text


@pytest.mark.parametrize("source", ["", " \n\n", "---\ntitle: Empty\n---\n", "![only](image.png)"])
def test_a_page_without_text_says_so(source: str) -> None:
    with pytest.raises(SourceUnreadable, match="no text"):
        read_page(source)


@pytest.mark.parametrize(
    "source",
    [
        "> " * 5000 + "x",
        "- " * 5000 + "x",
        "[" * 30_000,
        "*a **b " * 5000,
        "<a " * 9000,
        "(" * 9000,
    ],
    ids=lambda source: source[:4],
)
def test_pathological_nesting_is_read_quickly(source: str) -> None:
    assert read_page(f"Before.\n\n{source}\n\nAfter.\n").text.startswith("Before.")


TABLES = """
import pipelines.readers.markdown.reader
from mdurl._decode import decode_cache
from mdurl._encode import encode_cache

before = {**encode_cache}, {**decode_cache}
pipelines.readers.markdown.reader.read_markdown("A [lamp](lamp.md?a=b#c) <https://skerry.example/%20>.")
assert before[0] and before[1], "an address is escaped by tables that threads share"
assert (encode_cache, decode_cache) == before, "and that nothing fills while they are read"
"""


def test_pages_can_be_read_in_threads_from_the_first_one_on() -> None:
    command = [sys.executable, "-c", TABLES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_nul_in_front_matter_is_replaced() -> None:
    reading = read_page('---\ntitle: "a\\0b"\n"k\\0": ["\\0"]\n---\nText.\n')
    assert reading.title == "a\ufffdb"
    assert reading.metadata["k\ufffd"] == ["\ufffd"]
