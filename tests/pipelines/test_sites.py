"""Tests of the version, locale and route that the folders of a site give to a page."""

from pathlib import Path, PurePosixPath

import pytest

from pipelines.readers import read
from pipelines.readers.sites.layout import SiteLocation, locate_page
from tests.pipelines.pages import read_page

CONFIG = "module.exports = {i18n: {defaultLocale: 'en', locales: ['en', 'de']}};"
I18N = "i18n/de/docusaurus-plugin-content-docs"


def site(folder: Path, config: str = CONFIG, versions: str = '["2.0", "1.0"]') -> Path:
    (folder / I18N).mkdir(parents=True)
    (folder / "docusaurus.config.js").write_text(config)
    (folder / "versions.json").write_text(versions)
    return folder


def at(root: Path, name: str) -> SiteLocation:
    return locate_page(root / name, PurePosixPath(name))


def route(root: Path, name: str, text: str = "text") -> str:
    return read(root / name, text.encode(), PurePosixPath(name)).route


@pytest.mark.parametrize(
    ("name", "expected", "version", "locale"),
    [
        ("docs/01-intro.md", "docs/next/intro", "next", "en"),
        ("versioned_docs/version-2.0/intro.md", "docs/intro", "2.0", "en"),
        ("versioned_docs/version-1.0/a/index.md", "docs/1.0/a", "1.0", "en"),
        (f"{I18N}/current/intro.md", "de/docs/next/intro", "next", "de"),
        (f"{I18N}/version-2.0/intro.md", "de/docs/intro", "2.0", "de"),
        ("README.md", "", None, None),
        ("blog/2026-01-02-news.md", "blog/2026-01-02-news", None, None),
        ("versioned_docs/README.md", "versioned_docs", None, None),
    ],
)
def test_docusaurus_says_all_by_its_folders(
    tmp_path: Path, name: str, expected: str, version: str | None, locale: str | None
) -> None:
    root = site(tmp_path)
    assert route(root, name) == expected
    assert (at(root, name).version, at(root, name).locale) == (version, locale)


def test_version_and_locale_are_metadata(tmp_path: Path) -> None:
    name = PurePosixPath("versioned_docs/version-1.0/intro.md")
    source = b"---\nversion: mine\nyear: 2026\n---\ntext"
    reading = read(site(tmp_path) / name, source, name)
    assert reading.metadata == {"version": "1.0", "locale": "en", "year": 2026}


def test_a_folder_of_docs_counts_its_routes_from_itself(tmp_path: Path) -> None:
    root = site(tmp_path) / "versioned_docs" / "version-1.0"
    assert route(root, "a/intro.md") == "a/intro"
    assert (at(root, "a/intro.md").version, at(root, "a/intro.md").locale) == ("1.0", "en")


@pytest.mark.parametrize(
    ("config", "name", "expected"),
    [
        ("presets: [['classic', {docs: {routeBasePath: '/'}}]]", "docs/intro.md", "next/intro"),
        ("docs: {routeBasePath: 'guide'}", "versioned_docs/version-2.0/a.md", "guide/a"),
        ("docs: {}, blog: {routeBasePath: 'news'}", "versioned_docs/version-2.0/a.md", "docs/a"),
        ("docs: {lastVersion: 'current'}", "docs/intro.md", "docs/intro"),
        ("docs: {lastVersion: 'current'}", "versioned_docs/version-2.0/a.md", "docs/2.0/a"),
        ("defaultLocale: 'de'", f"{I18N}/version-2.0/a.md", "docs/a"),
    ],
)
def test_the_configuration_is_heard(tmp_path: Path, config: str, name: str, expected: str) -> None:
    assert route(site(tmp_path, config), name) == expected


def test_what_the_configuration_says_may_change(tmp_path: Path) -> None:
    root = site(tmp_path)
    assert route(root, "versioned_docs/version-2.0/a.md") == "docs/a"
    (root / "versions.json").write_text('["3.0", "2.0", "1.0", "0.1"]')
    assert route(root, "versioned_docs/version-2.0/a.md") == "docs/2.0/a"


@pytest.mark.parametrize("versions", ["not JSON", "{}", "", "[" * 100_000])
def test_without_versions_there_is_one(tmp_path: Path, versions: str) -> None:
    root = site(tmp_path, versions=versions)
    assert route(root, "docs/intro.md") == "docs/intro"
    assert at(root, "docs/intro.md").version is None


def test_folders_alone_are_no_site(tmp_path: Path) -> None:
    name = "versioned_docs/version-1.0/intro.md"
    assert at(tmp_path, name) == SiteLocation(PurePosixPath(name))


@pytest.mark.parametrize(
    ("config", "name", "expected"),
    [
        ("site_name: x", "docs/guide/lamp.md", "guide/lamp/"),
        ("site_name: x", "docs/guide/index.md", "guide/"),
        ("site_name: x", "docs/README.md", ""),
        ("site_name: x", "docs/01-intro.md", "01-intro/"),
        ("docs_dir: 'pages'", "pages/lamp.md", "lamp/"),
        ("use_directory_urls: false", "docs/lamp.md", "lamp.html"),
        ("use_directory_urls: false", "docs/guide/index.md", "guide/index.html"),
    ],
)
def test_mkdocs_makes_folders(tmp_path: Path, config: str, name: str, expected: str) -> None:
    (tmp_path / "mkdocs.yml").write_text(config)
    assert route(tmp_path, name) == expected
    folder, _, below = name.partition("/")
    assert route(tmp_path / folder, below) == expected


@pytest.mark.parametrize("folder", ["docs", "source", "doc"])
def test_sphinx_makes_files(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "conf.py").touch()
    for name, expected in {"01-a/lamp.md": "01-a/lamp.html", "index.md": "index.html"}.items():
        assert route(tmp_path, f"{folder}/{name}") == expected
        assert route(tmp_path / folder, name) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("---\ndraft: true\n---\ntext", True),
        ("\ufeff---\r\ntitle: x\r\ndraft: true\r\n---\r\ntext", True),
        ("---\ndraft: false\n---\ntext", False),
        ("---\nunlisted: true\n---\ndraft: true", False),
        ("draft: true", False),
    ],
)
def test_a_draft_says_so_in_its_front_matter(source: str, expected: bool) -> None:
    assert read_page(source, "page.md").is_draft is expected
    assert not read_page(source, "page.txt").is_draft


def test_a_draft_may_have_no_text_yet() -> None:
    assert read_page("---\ndraft: true\n---\n").is_draft


def test_the_text_in_digests_never_changes() -> None:
    """Homes of earlier versions have digests of it: another text would make every source look changed."""
    place = SiteLocation(PurePosixPath("guide/lamp.md"), "de/docs/1.0", "1.0", "de", is_mdx=True)
    assert place.digest_text == (
        "Place(relative=PurePosixPath('guide/lamp.md'), prefix='de/docs/1.0', version='1.0', "
        "locale='de', builder='docusaurus', is_mdx=True, flat=False)"
    )
