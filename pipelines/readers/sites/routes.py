"""The URL path of a page on the site built from its folder, for each documentation builder."""

import posixpath
import re
from pathlib import PurePosixPath
from urllib.parse import quote

from pipelines.readers.sites.layout import SiteLocation
from storage.shapes import Metadata

_NUMBER_PREFIX = re.compile(r"\A\d+\s*[-_.]+\s*(?=[^-_.\s])")
# "2021-05-release" is a date and "8.0-upgrade" a version: their numbers are part of the name.
_NOT_A_PREFIX = re.compile(r"(?:\d{2}|\d{4})[-_.]\d{2}|\d+[-_.]\d+")
_SAFE_IN_PATH = "/~!$&'()*+,;=:@%"
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def docs_route(relative: PurePosixPath, front_matter: Metadata) -> str:
    """Return a page's path on a Docusaurus site: its folder, then `slug`, `id` or the name without suffix."""
    numbered = front_matter.get("parse_number_prefixes") is not False
    folder = "/".join(_unnumbered(part, numbered) for part in relative.parent.parts)
    slug = front_matter.get("slug")
    if isinstance(slug, str) and slug:
        return _path(slug if slug.startswith("/") else f"{folder}/{slug}")
    if relative.stem.lower() in ("index", "readme", relative.parent.name.lower()):
        return _path(folder)
    name = front_matter.get("id")
    if not isinstance(name, str) or not name:
        name = _unnumbered(relative.stem, numbered)
    return _path(f"{folder}/{name}")


def page_route(at: SiteLocation, front_matter: Metadata) -> str:
    """Return a Markdown page's path on its site, by the rules of the site's builder."""
    if at.builder == "docusaurus":
        route = docs_route(at.relative, front_matter)
        return "/".join(filter(None, (_path(at.prefix), route)))
    stem = _path(at.relative.with_suffix("").as_posix())
    if at.builder == "sphinx":
        return f"{stem}.html"
    is_index = at.relative.stem.lower() in ("index", "readme")
    if at.has_flat_urls:
        return _path(at.relative.with_name("index.html").as_posix()) if is_index else f"{stem}.html"
    folder = _path(at.relative.parent.as_posix()) if is_index else stem
    return f"{folder}/" if folder else ""


def file_route(relative: PurePosixPath) -> str:
    """Return the path of a file that is served unchanged; the path of an `index.html` is its folder."""
    if relative.name.lower() in ("index.html", "index.htm"):
        folder = _path(relative.parent.as_posix())
        return f"{folder}/" if folder else ""
    return _path(relative.as_posix())


def readable_name(relative: PurePosixPath) -> str:
    """Return a title made from the file's name, or from its folder's name if it is an index file."""
    is_index = relative.stem.lower() in ("index", "readme") and relative.parent.name
    name = relative.parent.name if is_index else relative.stem
    words = re.sub(r"[\s_-]+", " ", without_number_prefix(name)).strip() or relative.name
    return words[0].upper() + words[1:]


def without_number_prefix(name: str) -> str:
    """Remove a number that only sorts files: `01-intro` becomes `intro`."""
    return name if _NOT_A_PREFIX.match(name) else _NUMBER_PREFIX.sub("", name)


def _unnumbered(name: str, numbered: bool) -> str:
    return without_number_prefix(name) if numbered else name


def _path(path: str) -> str:
    """Resolve `.` and `..`, never above the root, and percent-encode what is not encoded yet."""
    resolved = posixpath.normpath(f"/{path}").strip("/")
    return quote(_LONE_PERCENT.sub("%25", resolved), safe=_SAFE_IN_PATH)
