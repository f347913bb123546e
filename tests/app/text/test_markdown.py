"""Titles and addresses of documents are shown as they are, and become neither links nor markup."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.markdown import escape_markdown, markdown_link, safe_address
from tests.app.chat.answer.test_sanitizer import PIECES, TEXTS
from tests.app.chat.renderers import build_renderers, find_active

PAGE = "https://docs.example.com/lamp"


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("The lamp", "The lamp"),
        ("1. The *lamp*\n  burns", "1\\. The \\*lamp\\* burns"),
        ("# [x](y) <b> `c`", "\\# \\[x\\](y) &lt;b\\> \\`c\\`"),
        ("Write to me@lure.example", "Write to `me@lure.example`"),
        ("![x](https://lure.example/x)", "\\!\\[x\\](`https://lure.example/x`)"),
        ("snake_case & co", "snake\\_case \\& co"),
        ("a\u202eb\u200bc", "abc"),
    ],
)
def test_text_is_shown_as_it_is(text: str, markdown: str) -> None:
    assert escape_markdown(text) == markdown


@given(TEXTS, st.sampled_from(["{}", "## {}", "- {}", "> {}", "[^1]: “{}”"]))
def test_no_renderer_finds_anything_in_plain_text(text: str, line: str) -> None:
    for name, render in build_renderers().items():
        html = render(line.format(escape_markdown(text)))
        assert {target for target in find_active(html) if not target.startswith("#")} == set(), (
            name,
            html,
        )


@given(TEXTS, st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_a_link_leads_to_its_page_and_nowhere_else(label: str, rest: str) -> None:
    link = markdown_link(label, PAGE + "/" + rest)
    for name, render in build_renderers().items():
        targets = find_active(render(f"- {link}"))
        assert len(targets) == 1, (name, link)
        assert targets.pop().startswith(PAGE), (name, link)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (f"{PAGE}#fuel", f"{PAGE}#fuel"),
        (f"{PAGE}/a b)\n<img>", f"{PAGE}/ab%29%3Cimg%3E"),
        ("javascript:alert(1)", ""),
        ("http://[bad", ""),
        ("//lure.example", ""),
        ("file:///srv/docs/a.md", "file:///srv/docs/a.md"),
    ],
)
def test_an_address_is_one_of_a_page(url: str, address: str) -> None:
    assert safe_address(url) == address
