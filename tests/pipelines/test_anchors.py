"""Tests of heading ids: they equal those of the documentation builders, so that links work."""

import pytest

from pipelines.readers.sites.slugs import Slugger
from tests.pipelines.pages import outline, read_page


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Lighting the lamp", "lighting-the-lamp"),
        ("What's new in 2.0?", "whats-new-in-20"),
        ("A - B / C", "a---b--c"),
        ("snake_case & kebab-case", "snake_case--kebab-case"),
        ("`lamp.ignite(pressure)`", "lampignitepressure"),
        ("Ünïcode und Größe", "ünïcode-und-größe"),
        ("点灯の方法", "点灯の方法"),
        ("Привет, мир", "привет-мир"),
        ("🚀 Launch", "-launch"),
        ("x² and Ⅳ and ½", "x-and-ⅳ-and-"),
        ("See [the page](x.md) **now**", "see-the-page-now"),
        ("![Fast](fast.svg) track", "fast-track"),
        ("Custom {#my-Id}", "my-Id"),
        ("Escaped \\{#own}", "own"),
        ("🚀", None),
    ],
)
def test_a_heading_has_the_id_it_has_on_the_site(heading: str, anchor: str | None) -> None:
    assert read_page(f"Intro\n\n## {heading}\n\ntext").sections[-1].anchor == anchor


def test_the_same_heading_again_is_numbered() -> None:
    source = "# Setup\n\n## Setup\n\n## Setup\n\n## Setup 1\n\n## Own {#setup}\n\n## Setup\n\nend"
    assert [anchor for _, anchor in outline(read_page(source))] == [
        None,
        "setup-1",
        "setup-2",
        "setup-1-1",
        "setup",
        "setup-3",
    ]


def test_numbering_stays_quick_for_many_equal_headings() -> None:
    slugger = Slugger()
    assert [slugger.anchor("Lamp") for _ in range(20_000)][-1] == "lamp-19999"


def test_a_heading_shows_its_text_without_the_id() -> None:
    reading = read_page("# Title {#top}\n\n## Oil `x` {#oil}\n\ntext")
    assert reading.text == "Title\n\nOil x\n\ntext"
    assert outline(reading) == [(("Title",), None), (("Title", "Oil x"), "oil")]


@pytest.mark.parametrize(
    "heading",
    [
        '<h2 id="oil">Oil</h2>',
        '<h2><a id="oil"></a>Oil</h2>',
        '<h2><a name="oil">Oil</a></h2>',
        '<a id="oil"></a>\n<h2>Oil</h2>',
        '<section id="oil"><h2>Oil</h2><p>x</p></section>',
        '<div id="oil"><header><h2>Oil</h2></header></div>',
        '<h2 id="oil">Oil<a class="headerlink" href="#oil">¶</a></h2>',
    ],
)
def test_html_says_itself_where_a_heading_is(heading: str) -> None:
    reading = read_page(f"<main><h1>Lamp</h1><p>x</p>{heading}<p>text</p></main>", "lamp.html")
    assert outline(reading) == [(("Lamp",), None), (("Lamp", "Oil"), "oil")]


def test_a_section_lends_its_id_to_its_first_heading_only() -> None:
    source = '<section id="oil"><h2>Oil</h2><p>x</p><h2>Wick</h2><p>y</p></section>'
    assert outline(read_page(source, "lamp.html")) == [
        (("Lamp", "Oil"), "oil"),
        (("Lamp", "Wick"), None),
    ]
