"""Answers as HTML: claims and markers where they belong, and nothing that could harm a reader."""

import re
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from app.web.rendering import render
from storage.domain import Abstention, Answer, Citation, Claim, NearestSection, Verdict

ID = UUID(int=1)
PAGE = "https://docs.example/lamp"
HARMLESS = {
    *("p", "br", "hr", "blockquote", "ul", "ol", "li", "pre", "div", "span", "button", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "code", "em", "strong", "s"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
NASTY = (
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href=javascript:alert(1)>x</a>",
    ),
    *(
        "[x](javascript:alert(1))",
        "[x](data:text/html,x)",
        f"[x]({PAGE}#fuel)",
        "[x](https://evil.example)",
    ),
    *(
        "![x](https://evil.example/x.png)",
        "<https://evil.example>",
        "[x][r]",
        "\n\n[r]: vbscript:x\n\n",
    ),
    *(
        "[1]",
        " [2]",
        "[9]",
        "\\[1\\]",
        "**",
        "_",
        "`",
        "\n```html\n",
        "\n\n",
        "\n- ",
        "\n> ",
        "\n# ",
    ),
    *(
        "| a | b |\n|---|---|\n| ",
        "$",
        "$$\n",
        "&lt;",
        "&#0;",
        '"',
        "'",
        "\u202e",
        "\r\n",
        "\\",
        "\x00",
    ),
    *("The lamp burns.", "<style>*{}</style>", "<svg/onload=alert(1)>", "]]>", "<!--", "x" * 9),
)


def cite(n: int, url: str = f"{PAGE}#fuel:~:text=The%20lamp") -> Citation:
    return Citation(
        n=n,
        source_id=ID,
        source_version=1,
        passage_id=ID,
        title="The lamp",
        section=("The lamp", "Fuel"),
        url=url,
        quote="The lamp",
        start=0,
        end=8,
    )


def answer(text: str, *claims: Claim, **changes: object) -> Answer:
    return Answer.model_validate(
        {
            "id": ID,
            "conversation_id": ID,
            "message_id": ID,
            "status": "answered",
            "text": text,
            "claims": claims,
            **changes,
        }
    )


def claim(text: str, words: str, *numbers: int, verdict: Verdict = "supported") -> Claim:
    start = text.index(words)
    citations = tuple(map(cite, numbers))
    return Claim(
        text=words, start=start, end=start + len(words), citations=citations, verdict=verdict
    )


def parse(html: str) -> LexborHTMLParser:
    return LexborHTMLParser(f"<body>{html}</body>")


def elements(html: str) -> list[LexborNode]:
    return parse(html).css("body *")


def text_of_claim(html: str, number: int) -> str:
    """All words that are marked as one claim's."""
    return "".join(span.text() for span in parse(html).css(f"[data-claim='{number}']"))


def test_a_claim_ends_with_its_markers_and_its_verdict() -> None:
    text = "The **lamp** burns oil. [1] It is *hot [2]. Always*."
    first = claim(text, "The **lamp** burns oil.", 1)
    second = claim(text, "It is *hot [2].", 2, verdict="partial")
    html = render(answer(text, first, second))
    assert (text_of_claim(html, 0), text_of_claim(html, 1)) == ("The lamp burns oil.", "It is hot.")
    shown = parse(html)
    assert [button.attributes["data-note"] for button in shown.css("button.note")] == ["1", "2"]
    assert [sign.attributes["class"] for sign in shown.css(".verdict")] == [
        "verdict supported",
        "verdict partial",
    ]
    assert re.search(r'oil\.</span><button[^>]+>1</button><span class="verdict supported"', html)


def test_what_was_withheld_or_copied_is_told_below() -> None:
    text = "One. [1] Two. [1]"
    copied = claim(text, "One.", 1).model_copy(update={"flags": ("verbatim",)})
    gap = Claim(text="", start=len(text), end=len(text), flags=("withheld",))
    html = render(answer(text, copied, gap, gap))
    assert [note.text() for note in parse(html).css("p.told")] == [
        "2 claims are withheld because no source supports them.",
        "One claim repeats its source word for word, without quotation marks.",
    ]
    assert not parse(render(answer(text, claim(text, "One.", 1)))).css("p.told")


def test_verdicts_are_words_and_not_only_colours() -> None:
    text = "One. [1] Two. [1] Three. [1] Four. [1] Five."
    verdicts: list[Verdict] = ["supported", "partial", "unsupported", "unchecked"]
    words = ["One.", "Two.", "Three.", "Four."]
    claims = [claim(text, w, 1, verdict=v) for w, v in zip(words, verdicts, strict=True)]
    html = render(answer(text, *claims, claim(text, "Five.", verdict="unchecked")))
    signs = parse(html).css(".verdict")
    assert len({sign.text() for sign in signs}) == 4
    assert "verdict" not in html[html.index("Five.") :]


def test_brackets_in_code_and_unknown_numbers_are_no_markers() -> None:
    text = "Use `x[1]` or x[7], \\[1\\] and\n\n```py\nx[1]\n```\n[1]"
    html = render(answer(text, claim(text, "x[1]\n", 1)))
    assert len(parse(html).css("button")) == 1
    assert parse(html).css_first("pre code").text() == "x[1]\n"
    assert "x[7], [1]" in html


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("Torque is $a_1 * b_2 * c$. [1]", ["a_1 * b_2 * c"]),
        ("It costs $5 [1] or 6$ more.", []),
        ("$$\n\\frac{a}{b} * c * d\n$$\n[1]", ["\\frac{a}{b} * c * d"]),
    ],
)
def test_math_keeps_its_characters(text: str, formulas: list[str]) -> None:
    html = render(answer(text, claim(text, text, 1)))
    assert [formula.text().strip() for formula in parse(html).css(".math")] == formulas
    assert len(parse(html).css("button")) == 1


@pytest.mark.parametrize("page", [PAGE, "http://docs.example/ü b", "file:///docs/lamp.md"])
def test_links_lead_only_to_what_is_cited(page: str) -> None:
    text = f"[Fuel](<{page}#other>) [out](https://evil.example) <https://evil.example/x> [1]"
    cited = Claim(text=text, start=0, end=len(text), citations=(cite(1, f"{page}#fuel"),))
    links = parse(render(answer(text, cited))).css("a")
    assert [bool(link.attributes.get("href")) for link in links] == [True, False, False]
    assert links[0].attributes["rel"] == "noopener noreferrer"


def test_a_declined_answer_links_its_nearest_sections() -> None:
    near = NearestSection(
        source_id=ID, passage_id=ID, title="Lamp", section=("Lamp",), url=f"{PAGE}#fuel"
    )
    text = f"Nothing.\n\n- [Lamp]({PAGE}#fuel)"
    declined = Abstention(reason="nothing_relevant", nearest=(near,))
    html = render(answer(text, status="abstained", abstention=declined))
    assert f'href="{PAGE}#fuel"' in html


def test_every_block_runs_in_the_direction_of_its_words() -> None:
    html = render(answer("שלום\n\n- مرحبا\n\n  שלום\n\n> Hello\n\n| a |\n|---|\n| b |"))
    blocks = [node.tag for node in parse(html).css("[dir=auto]")]
    assert blocks == ["p", "ul", "blockquote", "table"]


@st.composite
def hostile(draw: st.DrawFn) -> Answer:
    """Any Markdown with any claims in it."""
    pieces = st.lists(st.sampled_from(NASTY) | st.text(max_size=8), max_size=14)
    text = "".join(draw(pieces))
    borders = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    verdicts: st.SearchStrategy[Verdict] = st.sampled_from(
        ["supported", "partial", "unsupported", "unchecked"]
    )
    claims = [
        Claim(text=text[a:b], start=a, end=b, verdict=draw(verdicts), citations=(cite(1), cite(2)))
        for a, b in pairwise(borders)
    ]
    return answer(text, *claims)


@given(hostile())
def test_nothing_that_runs_or_leads_astray_survives(given_answer: Answer) -> None:
    for element in elements(render(given_answer)):
        assert element.tag in HARMLESS
        for name, value in element.attributes.items():
            assert name in {
                *("href", "target", "rel", "class", "dir", "title", "type", "start"),
                *("data-note", "data-claim", "aria-label"),
            }
            if name == "href":
                assert (value or "").partition("#")[0] == PAGE


@given(hostile())
def test_claims_change_nothing_but_what_is_marked(given_answer: Answer) -> None:
    """With the marks taken off, it is what it would be if all of it were one claim."""
    whole = Claim(
        text=given_answer.text,
        start=0,
        end=len(given_answer.text),
        citations=(cite(1), cite(2)) if given_answer.claims else (),
    )
    assert strip_marks(render(given_answer)) == strip_marks(
        render(given_answer.model_copy(update={"claims": (whole,)}))
    )


def strip_marks(html: str) -> str:
    body = parse(re.sub(r'<span class="verdict[^>]*>[^<]*</span>', "", html)).body
    assert body is not None
    for span in body.css("span.claim"):
        span.unwrap()
    return body.html or ""
