"""Links that open a page at the quoted words, as the text-fragment specification has them."""

import re
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.answer.links import quote_url, text_fragment
from storage.domain import Passage

URL = "https://docs.example.com/lamp#fuel"
DIRECTIVE = re.compile(r":~:text=[^-,&#\s]+(?:,[^-,&#\s]+)?")


def passage(text: str, url: str = URL, **fields: object) -> Passage:
    place = {"corpus": "default", "version": 1, "ordinal": 0, "title": "Lamp", "section": ("Lamp",)}
    known = {"id": UUID(int=1), "source_id": UUID(int=2), "start": 100, "end": 100 + len(text)}
    return Passage.model_validate(place | known | {"text": text, "url": url} | fields)


def whole(text: str, url: str = URL, **fields: object) -> str:
    return quote_url(passage(text, url, **fields), (100, 100 + len(text)))


@pytest.mark.parametrize(
    ("quoted", "words"),
    [
        ("Fill the tank.", "Fill%20the%20tank."),
        ("A first-order lens, turned & lit", "A%20first%2Dorder%20lens%2C%20turned%20%26%20lit"),
        ("100% of #5 in “Größe”", "100%25%20of%20%235%20in%20%E2%80%9CGr%C3%B6%C3%9Fe%E2%80%9D"),
        ("灯台の案内", "%E7%81%AF%E5%8F%B0%E3%81%AE%E6%A1%88%E5%86%85"),
        ("one  space\tof\N{NO-BREAK SPACE}any kind", "one%20space%20of%20any%20kind"),
        ("- a bulleted item", "a%20bulleted%20item"),
        ("12. a numbered item", "a%20numbered%20item"),
        ("2.4 litres an hour", "2.4%20litres%20an%20hour"),
        ("First block.\n\n- Second.", "First%20block.,Second."),
        ("One.\n\nTwo.\n\nThree.", "One.,Three."),
    ],
)
def test_a_quote_is_named_as_the_browser_shows_it(quoted: str, words: str) -> None:
    assert text_fragment(quoted) == f":~:text={words}"
    assert whole(quoted) == f"{URL}:~:text={words}"


def test_a_long_quote_is_named_by_its_ends() -> None:
    words = [f"w{number}" for number in range(60)]
    assert text_fragment(" ".join(words)) == (
        ":~:text=w0%20w1%20w2%20w3%20w4%20w5,w54%20w55%20w56%20w57%20w58%20w59"
    )


def test_without_an_anchor_the_fragment_begins_there() -> None:
    assert whole("Fill it.", "https://x.org/lamp") == "https://x.org/lamp#:~:text=Fill%20it."


@pytest.mark.parametrize(
    ("url", "text", "code"),
    [
        ("https://x.org/lamp.pdf#page=3", "Fill it.", ()),
        ("https://x.org/tides.txt", "Fill it.", ()),
        ("file:///docs/lamp.md", "Fill it.", ()),
        (URL, "lampctl ignite", ((100, 114),)),
        (URL, "Run it:\n\nlampctl ignite", ((109, 123),)),
        (URL, "The period is $T = 10$ seconds.", ()),
        (URL, "Fuel | Litres", ()),
        (URL, " \n ", ()),
    ],
)
def test_what_no_browser_would_find_has_none(
    url: str, text: str, code: tuple[tuple[int, int], ...]
) -> None:
    assert whole(text, url, code=code) == url


def test_code_beside_the_quote_does_no_harm() -> None:
    text = "Run it.\n\nlampctl ignite"
    linked = quote_url(passage(text, code=((109, 123),)), (100, 107))
    assert linked == f"{URL}:~:text=Run%20it."


@given(st.text())
def test_every_directive_is_well_formed_and_says_words_of_the_quote(quoted: str) -> None:
    found = text_fragment(quoted)
    if not found:
        return
    assert DIRECTIVE.fullmatch(found)
    shown = " ".join(quoted.split())
    parts = [unquote(part) for part in found.removeprefix(":~:text=").split(",")]
    assert all(part in shown for part in parts)
    if len(parts) == 2:
        start, end = parts
        assert shown.find(end, shown.index(start) + len(start)) >= 0
