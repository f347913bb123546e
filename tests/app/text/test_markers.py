import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.text.markers import Marker, MarkerParser

KNOWN = range(1, 4)


def parse(*deltas: str) -> str:
    """The pieces joined, markers shown as «1,2»."""
    parser = MarkerParser(KNOWN)
    pieces = [piece for delta in deltas for piece in parser.feed(delta)]
    pieces += parser.close()
    return "".join(
        f"«{','.join(map(str, piece.numbers))}»" if isinstance(piece, Marker) else piece
        for piece in pieces
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("It turns [1].", "It turns «1»."),
        ("It turns [1][2].", "It turns «1»«2»."),
        ("It turns [1, 2; 3].", "It turns «1,2,3»."),
        ("It turns 【2】.", "It turns «2»."),
        ("It turns [^3].", "It turns «3»."),
        ("It turns [2, 2].", "It turns «2»."),
        ("It turns [1, 9].", "It turns «1»."),
        ("It turns [9].", "It turns."),
        ("It turns [9] slowly.", "It turns slowly."),
        ("a[1]", "a«1»"),
        ("`a[1]` and [1]", "`a[1]` and «1»"),
        ("``a`[1]`` [1]", "``a`[1]`` «1»"),
        ("```py\na[1]\n```\n[1]", "```py\na[1]\n```\n«1»"),
        ("~~~\na[1]\n~~~\n[1]", "~~~\na[1]\n~~~\n«1»"),
        (r"\[1\] and [1]", r"\[1\] and «1»"),
        ("a lone ` tick\n\nthen [1]", "a lone ` tick\n\nthen «1»"),
        ("[1](http://elsewhere)", "«1»(http://elsewhere)"),
        ("[1]: http://elsewhere", "«1»: http://elsewhere"),
        ("[see 1] [a] [] [12345]", "[see 1] [a] [] [12345]"),
        ("[9[8]]", r"[9\]"),
        ("[[8]9]", r"[9\]"),
        ("cut off [1", "cut off [1"),
        ("cut off \\", "cut off \\"),
        ("", ""),
    ],
)
def test_markers_are_told_from_text(written: str, read: str) -> None:
    assert parse(written) == read


TEXTS = st.text(alphabet="ab 1239[]【】,;^`~\\()\n.:", max_size=60)


@given(TEXTS, st.lists(st.integers(0, 60), max_size=8))
def test_where_the_stream_is_cut_makes_no_difference(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    deltas = [text[start:end] for start, end in pairwise(edges)]
    assert parse(*deltas) == parse(text)


@given(st.text(alphabet="ab 123456789[]【】,", max_size=40))
@example("[1【4]]")
def test_a_number_outside_the_closed_set_never_reaches_the_reader(text: str) -> None:
    for marker in re.findall(r"[\[【]\s?(\d{1,4})\s?[\]】]", parse(text)):
        assert marker == "never", f"{text!r} let [{marker}] through"


@given(st.text(alphabet="ab .\n(){}*_", max_size=60))
def test_text_without_markers_comes_through_as_it_is(text: str) -> None:
    assert parse(*text) == text
