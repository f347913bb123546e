"""Tests of HTML: the main content is read as it looks in a browser, without the site around it."""

import pytest

from storage.errors import SourceUnreadable
from tests.pipelines.pages import code_of, outline, read_page


def text_of(body: str) -> str:
    return read_page(f"<html><body>{body}</body></html>", "page.html").text


def test_only_the_main_content_is_read() -> None:
    source = """
        <html lang="de"><head><title>Lamp | Skerry</title><style>p {}</style>
        <meta name="Description" content="All about it"></head>
        <body><header><p>Site</p></header><nav>Menu</nav>
        <main><nav>Crumbs</nav>
          <article><header><h1>The lamp</h1></header><p>It shines.</p>
            <form><input><button>Search</button></form><footer>Edit this page</footer></article>
          <div class="toc"><ul><li>On this page</li></ul></div>
        </main>
        <aside>Adverts</aside><script>track()</script><noscript>No!</noscript></body></html>"""
    reading = read_page(source, "lamp.html")
    assert reading.text == "The lamp\n\nIt shines."
    assert (reading.title, reading.language) == ("The lamp", "de")
    assert reading.metadata == {"description": "All about it"}


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("<p>A <b>bold</b>\n   <i>word</i>.</p>after", "A bold word.\n\nafter"),
        ("<p>One<br>two &amp; three</p>", "One\ntwo & three"),
        ("<div>a<div>b</div>c</div>", "a\n\nb\n\nc"),
        ("<ul><li>1<ol start=3><li>x<li>y</ol></li><li><p>2</p></li></ul>", "- 1\n  3. x\n  4. y\n- 2"),
        ("<dl><dt>Wick</dt><dd>Burns.</dd></dl>", "Wick\n\nBurns."),
        ("<details><summary>More</summary>Inside</details>", "More\n\nInside"),
        ("<p>Up<sup id=r><a href='#n'>1</a></sup> and x<sup>2</sup></p>", "Up and x2"),
        ("<p>See<svg><text>no</text></svg> <span aria-hidden=true>!</span>it</p>", "See it"),
        ("<p>text <img alt='no'> more</p><figure><figcaption>Fig</figcaption></figure>", "text more\n\nFig"),
    ],
)  # fmt: skip
def test_elements_look_as_in_a_browser(body: str, seen: str) -> None:
    assert text_of(body) == seen


def test_code_is_verbatim_without_the_line_numbers_beside_it() -> None:
    body = """<table class="highlight"><tr><td class="linenos"><pre>1\n2</pre></td>
        <td><pre><code><span>def</span> lit():<br>    return <b>True</b></code><button>Copy</button>
</pre></td></tr></table><p>after</p>"""
    reading = read_page(body, "page.html")
    assert reading.text == "def lit():\n    return True\n\nafter"
    assert code_of(reading) == ["def lit():\n    return True"]


def test_a_table_is_a_row_a_line() -> None:
    body = """<table><caption>Lamps</caption><tr><th>Name<th>Range</tr>
        <tr><td><p>Skerry</p><td><ul><li>12<li>nm</ul></tr><tr><td> <td></tr></table>"""
    assert text_of(body) == "Lamps\nName | Range\nSkerry | 12 nm"


def test_a_table_that_only_places_things_is_not_a_table() -> None:
    body = "<table><tr><td><h2>Left</h2><p>a</p></td><td><table><tr><td>1<td>2</table></td></table>"
    assert text_of(body) == "Left\n\na\n\n1 | 2"


def test_formulas_are_read_as_they_were_written() -> None:
    tex = '<annotation encoding="application/x-tex">x^2</annotation>'
    html = f"<math><semantics><mi>x</mi>{tex}</semantics></math>"
    display = html.replace("<math>", '<math display="block">')
    reading = read_page(f"<p>So {html} is</p>{display}<p>end</p>", "page.html")
    assert reading.text == "So $x^2$ is\n\n$$x^2$$\n\nend"
    assert code_of(reading) == ["$$x^2$$"]


def test_headings_make_sections() -> None:
    body = (
        "<h1 id=top>Lamp<a href='#top'>#</a></h1><p>x</p><h3 id=oil>Oil</h3><p>y</p><h2>End</h2>z"
    )
    assert outline(read_page(body, "a.html")) == [
        (("Lamp",), "top"),
        (("Lamp", "Oil"), "oil"),
        (("Lamp", "End"), None),
    ]


def test_without_a_heading_the_title_of_the_head_is_the_title() -> None:
    assert read_page("<title>\n The  lamp </title><p>x</p>", "a.html").title == "The lamp"


def test_a_header_that_holds_the_title_is_content() -> None:
    assert text_of("<header>Logo</header><header><h1>Lamp</h1></header><p>x</p>") == "Lamp\n\nx"


def test_an_empty_main_does_not_hide_the_page() -> None:
    assert text_of("<main></main><p>Here it is.</p>") == "Here it is."


def test_several_articles_are_read_together() -> None:
    assert text_of("<article>One</article><article>Two</article>") == "One\n\nTwo"


def test_deep_nesting_is_no_matter_until_it_is_absurd() -> None:
    assert text_of("<div>" * 3000 + "deep") == "deep"
    assert text_of("<ul><li>x" * 200).count("- x") == 200
    with pytest.raises(SourceUnreadable, match="nested"):
        text_of("<div>" * 20_000)
