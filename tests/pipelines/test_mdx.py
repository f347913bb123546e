"""Tests of MDX: the JavaScript is removed, and the Markdown between it is kept."""

from textwrap import dedent

import pytest

from tests.pipelines.pages import code_of, outline, read_page


def text_of(source: str, name: str = "page.mdx") -> str:
    return read_page(dedent(source), name).text


def test_modules_vanish_with_all_their_lines() -> None:
    source = """\
        import Tabs from '@theme/Tabs'
        import {
          Lamp,

          Lens as Glass,
        } from './lamp';

        export const Shade = ({children}) => {
          const text = "} not the end";

          return <b>{children}</b>;
        };

        The text.

        To import goods, ask. Then export them.
        """
    assert text_of(source) == "The text.\n\nTo import goods, ask. Then export them."


def test_tags_vanish_and_what_they_hold_is_markdown() -> None:
    source = """\
        <Tabs
          defaultValue="npm"
          values={[{label: 'npm', value: 'npm'}, {label: "a > b", value: `{`}]}>

          <TabItem value="npm" label="npm">

            Use **npm**:

            ```sh
            npm install lamp
            ```

            - one
            - two

          </TabItem>
          <TabItem value="yarn" label="yarn">Use *yarn*.</TabItem>
          <TabItem value="pnpm">Use `pnpm`.</TabItem>
        </Tabs>

        <Diagram src={lens} onClick={() => { open('<x>'); }} />

        Press <Key>F1</Key> or <Icon name="x" />wait. <>Fragment</>
        """
    reading = read_page(dedent(source), "page.mdx")
    assert reading.text == (
        "Use npm:\n\nnpm install lamp\n\n- one\n- two\n\nUse yarn.\nUse pnpm."
        "\n\nPress F1 or wait. Fragment"
    )
    assert code_of(reading) == ["npm install lamp"]


def test_text_below_a_tag_may_be_indented_by_tabs_and_in_lists() -> None:
    source = "<Steps>\n\t<Step>\n\t\tWind *it*.\n\t\t- one\n\t\t- two\n\t</Step>\n</Steps>\n\n"
    source += "1. First\n\n   <Note>\n     Mind:\n\n     - oil\n   </Note>\n\n2. Second\n"
    assert text_of(source) == (
        "Wind it.\n\n- one\n- two\n\n1. First\n\n  Mind:\n\n  - oil\n2. Second"
    )


def test_expressions_vanish_unless_they_are_a_plain_string() -> None:
    source = """\
        {/* a comment

        over a blank line */}
        Twice{' '}{"the \\"rate\\""} of {rate * 2}{`!`}{`${no}`}. A brace: {'{'} and \\{.

        {table.map((row) => <Row {...row} />)}
        """
    assert text_of(source) == 'Twice the "rate" of !. A brace: { and {.'


def test_what_does_not_close_is_text() -> None:
    assert text_of("If a < b and {c, then d <e.") == "If a < b and {c, then d <e."
    assert text_of("{\n" * 2000) == " ".join(["{"] * 2000)


def test_fences_of_mdx_code_are_taken_off() -> None:
    source = """\
        ```mdx-code-block
        import Frame from './frame'

        <Frame>
        ```

        ```js
        inside();
        ```

        ```mdx-code-block
        </Frame>
        ```
        """
    reading = read_page(dedent(source), "page.md")
    assert reading.text == "inside();"
    assert code_of(reading) == ["inside();"]


def test_what_belongs_into_the_head_is_not_seen() -> None:
    source = """\
        <head>
          <title>For search engines</title>
        </head>

        <style>{`.a { color: red }`}</style>

        Seen.
        """
    assert text_of(source) == "Seen."


def test_details_keep_their_summary() -> None:
    source = """\
        <details>
          <summary>More about <code>lens</code></summary>

        Inside.

        </details>
        """
    assert text_of(source) == "More about lens\n\nInside."


def test_headings_and_their_ids_are_those_of_markdown() -> None:
    source = "# The lamp\n\nx\n\n## Oil {#fuel}\n\ny\n\n## `<Lens>` {/* #lens */}\n\nz\n"
    assert outline(read_page(source, "page.mdx")) == [
        (("The lamp",), None),
        (("The lamp", "Oil"), "fuel"),
        (("The lamp", "<Lens>"), "lens"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import Note from './note'\n\n<Note>\n\nText {x}.\n\n</Note>\n",
        "{/* comment */}\n\nText {x}.\n",
        "<Note title={<b>x</b>}>\n\nText {x}.\n\n</Note>\n",
        "<!-- before -->\nimport Note from './note'\n\n<Note />\n\nText {x}.\n",
    ],
)
def test_md_is_read_as_mdx_when_it_is_that(source: str) -> None:
    assert text_of(source, "page.md") == "Text ."


def test_plain_markdown_keeps_its_braces_and_indented_code() -> None:
    reading = read_page("Text {x} in <b>bold</b> `{/* x */}`.\n\n    indented {code}\n")
    assert reading.text == "Text {x} in bold {/* x */}.\n\nindented {code}"
    assert code_of(reading) == ["indented {code}"]
