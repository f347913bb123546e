"""Tests of decoding: bytes in any common encoding become text, and binary files are refused."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.readers import LARGEST_MARKUP, LARGEST_TEXT, SUFFIXES, read
from storage.errors import SourceUnreadable
from tests.pipelines.pages import read_page


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["page.md", "page.html", "page.txt"])
def test_unicode_in_every_form(encoding: str, name: str) -> None:
    assert (
        read_page("Zünde die Lampe an 🔥\n".encode(encoding), name).text == "Zünde die Lampe an 🔥"
    )


def test_utf16_without_the_usual_byte_order() -> None:
    assert read_page(b"\xfe\xff" + "Größe".encode("utf-16-be")).text == "Größe"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Le garçon a été très déçu par l'été.", "latin-1"),
        ("Größe und Übung: schöne Grüße.", "latin-1"),
        ("El niño comió una piña mañana.", "latin-1"),
        ("It’s a “quoted” word – yes…", "cp1252"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy.", "cp1250"),
        ("Плата за проезд: это русский текст.", "cp1251"),
        ("日本語のテキストです。これはテストです。", "shift_jis"),
    ],
)
def test_older_encodings_are_recognised(text: str, encoding: str) -> None:
    assert read_page(text.encode(encoding)).text == text


def test_html_may_declare_its_encoding() -> None:
    source = '<meta charset="iso-8859-5"><p>Лампа</p>'
    assert read_page(source.encode("iso-8859-5"), "page.html").text == "Лампа"


def test_a_wrong_declaration_is_not_believed() -> None:
    assert (
        read_page('<meta charset="nonsense"><p>déçu</p>'.encode("latin-1"), "a.html").text == "déçu"
    )


def test_one_damaged_byte_does_not_garble_the_rest() -> None:
    data = "Grüße aus München, schöne Größe".encode() + b" \xff end"
    assert read_page(data).text == "Grüße aus München, schöne Größe \ufffd end"


def test_line_ends_of_every_system() -> None:
    assert (
        read_page(b"# One\r\n\r\ntwo\r\nthree\r\rfour", "a.md").text == "One\n\ntwo three\n\nfour"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0",
        b"text with \0 in it",
        bytes(range(1, 32)) * 9,
        b"\xff\xfea\0\0\0b\0",
    ],
)
def test_binary_content_is_refused_whatever_its_name(data: bytes) -> None:
    with pytest.raises(SourceUnreadable, match="binary"):
        read_page(data)


def test_a_file_too_large_is_refused_with_both_sizes() -> None:
    with pytest.raises(SourceUnreadable, match=r"20\.1 MB.* 20 MB"):
        read_page(b"x" * (LARGEST_TEXT + 100_000), "page.txt")
    with pytest.raises(SourceUnreadable, match=r"10\.1 MB.* 10 MB"):
        read_page(b"x" * (LARGEST_MARKUP + 100_000), "page.md")


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(SourceUnreadable, match=r"\.odt is not read"):
        read_page("text", "page.odt")
    assert {".md", ".mdx", ".html", ".txt", ".rst"} <= SUFFIXES


def test_suffixes_may_be_in_capitals() -> None:
    assert read_page("*lamp*", "README.MD").text == "lamp"


def test_plain_text_keeps_its_markup_and_its_lines() -> None:
    source = "Tides *today*\n\n- high: 6\n- low: 12\n\n\n\n  code {x}\n    more\n"
    assert read_page(source, "a.txt").text == (
        "Tides *today*\n\n- high: 6\n- low: 12\n\n  code {x}\n    more"
    )


def test_lines_wrapped_at_the_margin_are_one_paragraph() -> None:
    source = (
        "High water comes about fifty minutes later each day,\n"
        "and the landing is under water for two hours on both\n"
        "sides of a spring tide.\n\n"
        "1. Nobody lands on the rock at night or in a gale, and\n"
        "2. never alone.\n\n"
        "Keeper\nSkerry Point\nThe North\n"
    )
    assert read_page(source, "a.txt").text == (
        "High water comes about fifty minutes later each day, and the landing is under water for "
        "two hours on both sides of a spring tide.\n\n"
        "1. Nobody lands on the rock at night or in a gale, and\n2. never alone.\n\n"
        "Keeper\nSkerry Point\nThe North"
    )


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=300), st.sampled_from(sorted(f"a{suffix}" for suffix in SUFFIXES)))
def test_no_bytes_raise_anything_but_unreadable(data: bytes, name: str) -> None:
    try:
        text = read(Path(name), data, PurePosixPath(name)).text
    except SourceUnreadable as error:
        text = str(error)
    assert text.strip()
