"""What cannot be seen is taken out of a text, and nothing that a script needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.visible import InvisibleFilter, remove_invisible, sanitize_for_terminal, to_one_line


@pytest.mark.parametrize(
    "text",
    [
        "The lamp burns.\n\tAt dusk.",
        "می\u200cخواهم",
        "क्\u200dष और क्\u200cष",
        "👩\u200d💻 and 👍🏽 and ❤\ufe0f\u200d🔥",
        "שלום",
        "灯が\u3000燃える",
        "\u0600١٢٣",
        "naïve — “quoted” · ½ × 10⁶",
    ],
)
def test_text_stays(text: str) -> None:
    assert remove_invisible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u200bb\u2060c\ufeffd\u00ade", "abcde"),
        ("a\u202eb\u2066c\u2069\u200f", "abc"),
        ("Hi" + "".join(chr(0xE0000 + ord(letter)) for letter in "obey"), "Hi"),
        ("a\u200db\u200cc", "abc"),
        ("x\U000e0101\U000e0102\ufe00y", "x\U000e0101y"),
        ("a\x00\x1b[31mb\x7f", "a[31mb"),
        ("a\ufdd0\ufffe\U0001ffffb", "ab"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
    ],
)
def test_what_cannot_be_seen_goes(text: str, shown: str) -> None:
    assert remove_invisible(text) == shown


@given(st.text(), st.integers(0))
def test_where_a_text_is_cut_makes_no_difference(text: str, cut: int) -> None:
    cut %= len(text) + 1
    stream = InvisibleFilter()
    assert stream.feed(text[:cut]) + stream.feed(text[cut:]) == remove_invisible(text)


@given(st.text())
def test_a_text_is_made_visible_once(text: str) -> None:
    assert remove_invisible(remove_invisible(text)) == remove_invisible(text)
    assert "\n" not in to_one_line(text)
    assert all(
        character.isprintable()
        or character in "\n\t\u200c\u200d\u3000\xa0"
        or ord(character) > 0x7F
        for character in sanitize_for_terminal(text)
    )
