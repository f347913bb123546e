"""Routes and anchors are those of Docusaurus itself, built here from npm, pages awkward on purpose."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pytest
from selectolax.lexbor import LexborHTMLParser

from pipelines.ingestion.discovery import assign_roots, find_files
from pipelines.readers import read

HERE = Path(__file__).parent
PACKAGE = (HERE / "package.json", HERE / "package-lock.json")
QUIET = {"CI": "1", "DOCUSAURUS_NO_TELEMETRY": "1", "NO_UPDATE_NOTIFIER": "1"}
OFFLINE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH", "ECONNRESET")

Pages = dict[str, list[str]]
"""The anchors of every page in their order, by its route."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("npm") is None, reason="npm, which brings Docusaurus, is missing"
    ),
]


@pytest.fixture(scope="module")
def site() -> Path:
    """The pages as written and, in `build`, as built; what npm installed is kept between runs."""
    lock = hashlib.sha256(b"".join(path.read_bytes() for path in PACKAGE)).hexdigest()[:12]
    caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = caches / f"ibid-docusaurus-{lock}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and path.name != "node_modules":
            shutil.rmtree(path)
    for path in PACKAGE:
        shutil.copy(path, folder)
    shutil.copytree(HERE / "site", folder, dirs_exist_ok=True)
    if not (folder / "node_modules" / ".package-lock.json").exists():
        run_npm(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    run_npm(folder, "npx", "--no-install", "docusaurus", "build", "--no-minify")
    return folder


def run_npm(folder: Path, *command: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | QUIET, capture_output=True, text=True, check=False
    )
    told = done.stdout + done.stderr
    if done.returncode and any(word in told for word in OFFLINE):
        pytest.skip(f"`{' '.join(command[:2])}` finds no network")
    assert done.returncode == 0, told


def built(site: Path) -> Pages:
    """Pages made of a file of the docs, by what the built HTML says."""
    pages: Pages = {}
    for path in (site / "build").rglob("index.html"):
        html = LexborHTMLParser(path.read_text(encoding="utf-8"))
        content = html.css_first("html.docs-doc-page .theme-doc-markdown")
        if content is not None:
            headings = content.css("h1[id], h2[id], h3[id], h4[id], h5[id], h6[id]")
            route = path.parent.relative_to(site / "build").as_posix()
            ids = [heading.attributes["id"] or "" for heading in headings]
            pages[route] = [name for name in ids if name != "footnote-label"]
    return pages


def read_pages(site: Path, folder: str = ".") -> Pages:
    """The same by what Ibid reads in the files."""
    pages: Pages = {}
    for found in assign_roots(find_files([site / folder]), set()):
        data = found.path.read_bytes()
        reading = read(found.path, data, found.relative)
        if is_of_the_docs(found.path.relative_to(site)) and not reading.is_draft:
            assert unquote(reading.route) not in pages, found.path
            anchors = [section.anchor for section in reading.sections if section.anchor]
            pages[unquote(reading.route)] = anchors
    return pages


def is_of_the_docs(path: Path) -> bool:
    return PurePosixPath(path).parts[0] in ("docs", "versioned_docs", "i18n")


def test_every_route_is_one_that_docusaurus_builds(site: Path) -> None:
    expected, read_here = built(site), read_pages(site)
    # A page that is not translated is built in English below the language all the same.
    untranslated = {f"de/{route}" for route in read_here} & set(expected)
    assert sorted(set(expected) - (untranslated - set(read_here))) == sorted(read_here)


def test_every_anchor_is_one_that_docusaurus_builds(site: Path) -> None:
    expected, read_here = built(site), read_pages(site)
    shared = sorted(set(expected) & set(read_here))
    assert {route: read_here[route] for route in shared} == {
        route: expected[route] for route in shared
    }


@pytest.mark.parametrize(
    ("folder", "base"),
    [
        ("docs", "docs/next"),
        ("versioned_docs/version-2.0", "docs"),
        ("versioned_docs/version-1.0", "docs/1.0"),
        ("i18n/de/docusaurus-plugin-content-docs/current", "de/docs/next"),
    ],
)
def test_a_folder_of_docs_has_its_routes_below_its_own_address(
    site: Path, folder: str, base: str
) -> None:
    whole, part = read_pages(site), read_pages(site, folder)
    assert part
    for route, anchors in part.items():
        assert whole[f"{base}/{route}".rstrip("/")] == anchors
