"""Tests of routes: a page's path in its folder gives its path on the site."""

import pytest

from tests.pipelines.pages import read_page


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("intro.md", "intro"),
        ("guide/lamp.mdx", "guide/lamp"),
        ("01-intro.md", "intro"),
        ("001_first-steps/02. lamp.md", "first-steps/lamp"),
        ("1 - Guide/2 -- Lamp.md", "Guide/Lamp"),
        ("2021-05-release.md", "2021-05-release"),
        ("8.0-upgrade.md", "8.0-upgrade"),
        ("part-01-lamp.md", "part-01-lamp"),
        ("7.md", "7"),
        ("index.md", ""),
        ("README.md", ""),
        ("guide/index.mdx", "guide"),
        ("guide/readme.markdown", "guide"),
        ("Guide/guide.md", "Guide"),
        ("02-guide/index.md", "guide"),
        ("guide/my lamp.md", "guide/my%20lamp"),
        ("ガイド/灯.md", "%E3%82%AC%E3%82%A4%E3%83%89/%E7%81%AF"),
        ("100%.md", "100%25"),
    ],
)
def test_markdown_is_where_docusaurus_puts_it(name: str, route: str) -> None:
    assert read_page("text", name).route == route


@pytest.mark.parametrize(
    ("name", "front_matter", "route"),
    [
        ("guide/lamp.md", "slug: /start", "start"),
        ("guide/lamp.md", "slug: /", ""),
        ("02-guide/lamp.md", "slug: oil", "guide/oil"),
        ("guide/lamp.md", "slug: ../oil/", "oil"),
        ("guide/lamp.md", "slug: ../../../oil", "oil"),
        ("guide/index.md", "slug: oil", "guide/oil"),
        ("02-guide/03-lamp.md", "id: oil", "guide/oil"),
        ("guide/index.md", "id: oil", "guide"),
        ("guide/lamp.md", "slug: oil\nid: wick", "guide/oil"),
        ("guide/lamp.md", "slug: 7", "guide/lamp"),
        ("02-guide/03-lamp.md", "parse_number_prefixes: false", "02-guide/03-lamp"),
        ("guide/lamp.md", "slug: already%20encoded", "guide/already%20encoded"),
    ],
)
def test_front_matter_moves_a_page(name: str, front_matter: str, route: str) -> None:
    assert read_page(f"---\n{front_matter}\n---\ntext", name).route == route


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("guide/lamp.html", "guide/lamp.html"),
        ("01-guide/02-lamp.htm", "01-guide/02-lamp.htm"),
        ("guide/index.html", "guide/"),
        ("index.html", ""),
        ("notes/tide table.txt", "notes/tide%20table.txt"),
        ("notes/tides.rst", "notes/tides.rst"),
    ],
)
def test_other_files_keep_their_names(name: str, route: str) -> None:
    assert read_page("text", name).route == route


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("01-lighting-the-lamp.md", "Lighting the lamp"),
        ("guide/oil_and_wick.md", "Oil and wick"),
        ("02-guide/index.md", "Guide"),
        ("README.md", "README"),
        ("tides.txt", "Tides"),
        ("---.md", "---.md"),
    ],
)
def test_a_page_without_a_title_is_named_after_its_file(name: str, title: str) -> None:
    assert read_page("text", name).title == title
