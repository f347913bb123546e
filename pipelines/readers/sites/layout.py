"""Find the site that a file belongs to, and derive the docs version, locale and route from its folders."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

from storage.json_parsing import parse_json

Builder = Literal["docusaurus", "mkdocs", "sphinx"]

NEXT = "next"
"""The version name of Docusaurus's unreleased pages, used if there is a released version."""

_DOCUSAURUS = tuple(f"docusaurus.config.{suffix}" for suffix in ("js", "ts", "mjs", "cjs"))
_VERSIONS = "versions.json"
_MKDOCS = ("mkdocs.yml", "mkdocs.yaml")
_SPHINX = ("conf.py",)
_SPHINX_FOLDERS = ("docs", "doc", "source")
_PLUGIN = "docusaurus-plugin-content-docs"
_DEEPEST_ROOT = 5
"""How many folders are searched for the site's root: the ingested one and those above it.

The deepest docs folder that is ingested alone is `i18n/<locale>/<plugin>/<version>`, four below the root.
"""
_TRANSLATION_DEPTH = 4
"""The number of folders above a translated page: `i18n/<locale>/<plugin>/<version>`."""
_LARGEST_CONFIG = 200_000
# Matches the start of the docs options, the start of the blog options, and the route of either.
_ROUTE_BASE = re.compile(
    r"(?P<docs>\bdocs\s*:\s*\{|plugin-content-docs['\"]\s*,)|(?P<blog>\bblog\s*:)"
    r"|\brouteBasePath\s*:\s*['\"](?P<route>[^'\"]*)['\"]"
)
_COMMONMARK = re.compile(r"\bformat\s*:\s*['\"](?:detect|md)['\"]")
_LATEST = re.compile(r"\blastVersion\s*:\s*['\"]([^'\"]+)['\"]")
_DEFAULT_LOCALE = re.compile(r"\bdefaultLocale\s*:\s*['\"]([\w-]+)['\"]")
_DOCS_DIR = re.compile(r"^docs_dir\s*:\s*['\"]?([^'\"#\n]+)", re.MULTILINE)
_FLAT_URLS = re.compile(
    r"^use_directory_urls\s*:\s*(?:false|no|off)\b", re.MULTILINE | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class SiteLocation:
    """The place of a page on its site, before its front matter is applied."""

    relative: PurePosixPath
    """The path below the folder that routes are relative to."""
    prefix: str = ""
    """The path segments before the route: locale, docs route and version."""
    version: str | None = None
    locale: str | None = None
    builder: Builder = "docusaurus"
    is_mdx: bool = False
    """Whether Markdown is read as MDX, whatever the file's suffix."""
    has_flat_urls: bool = False
    """Whether MkDocs is configured to write `page.html` instead of `page/index.html`."""

    @property
    def digest_text(self) -> str:
        """Text that identifies the location in digests of sources.

        The digests in existing homes contain exactly this text, so renaming the class or adding a field
        must not change it for locations that exist already: else every source would look changed.
        """
        return (
            f"Place(relative=PurePosixPath({self.relative.as_posix()!r}), prefix={self.prefix!r}, "
            f"version={self.version!r}, locale={self.locale!r}, builder={self.builder!r}, "
            f"is_mdx={self.is_mdx!r}, flat={self.has_flat_urls!r})"
        )


@dataclass(frozen=True, slots=True)
class _Site:
    root: Path
    builder: Builder
    docs: str = "docs"
    """For Docusaurus, the route of the docs; for other builders, the docs folder below the root."""
    versions: tuple[str, ...] = field(default=())
    """The released versions, newest first."""
    latest: str | None = None
    """The version whose name is not part of the route."""
    locale: str | None = None
    is_mdx: bool = False
    has_flat_urls: bool = False


class SiteCache:
    """A cache of the site of each ingested folder, so that the folders are searched only once per run."""

    def __init__(self) -> None:
        self._around: dict[Path, _Site | None] = {}

    def find_site(self, root: Path) -> "_Site | None":
        """Return the site that the folder is or belongs to, or None."""
        if root not in self._around:
            self._around[root] = _find_site(root)
        return self._around[root]


def locate_page(
    path: Path, relative: PurePosixPath, sites: SiteCache | None = None
) -> SiteLocation:
    """Return a page's place on its site.

    Read only configuration files, in the folder that `relative` starts from and above it.
    """
    root = path.parents[len(relative.parts) - 1]
    site = (sites or SiteCache()).find_site(root)
    if site is None:
        return SiteLocation(relative)
    inside = PurePosixPath(path.relative_to(site.root).as_posix())
    is_whole = root == site.root
    if site.builder == "docusaurus":
        return _locate_docusaurus_page(site, inside, None if is_whole else relative)
    if is_whole and inside.is_relative_to(site.docs):
        relative = inside.relative_to(site.docs)
    return SiteLocation(relative, builder=site.builder, has_flat_urls=site.has_flat_urls)


def _locate_docusaurus_page(
    site: _Site, inside: PurePosixPath, below: PurePosixPath | None
) -> SiteLocation:
    """Return a page's place on a Docusaurus site.

    `below` is the page's path below the ingested folder, or None if that folder is the site's root.
    """
    locale, rest = site.locale, inside.parts
    if len(rest) > _TRANSLATION_DEPTH and rest[0] == "i18n" and rest[2] == _PLUGIN:
        locale = rest[1]
        is_current = rest[3] == "current"
        rest = ("docs", *rest[4:]) if is_current else ("versioned_docs", *rest[3:])
    version, rest = _split_version(site, rest)
    if rest is None:
        return SiteLocation(below or inside, is_mdx=site.is_mdx)
    if below is not None:
        return SiteLocation(below, version=version, locale=locale, is_mdx=site.is_mdx)
    prefix = [site.docs]
    if locale != site.locale:
        prefix.insert(0, locale or "")
    if version is not None and version != site.latest:
        prefix.append(version)
    return SiteLocation(
        PurePosixPath(*rest), "/".join(filter(None, prefix)), version, locale, is_mdx=site.is_mdx
    )


def _split_version(
    site: _Site, parts: tuple[str, ...]
) -> tuple[str | None, tuple[str, ...] | None]:
    """Return the version and the path below its folder; the path is None if the file is not in the docs."""
    if parts[0] == "docs":
        return (NEXT if site.versions else None), parts[1:]
    if parts[0] == "versioned_docs" and len(parts[1:]) > 1 and parts[1].startswith("version-"):
        return parts[1].removeprefix("version-"), parts[2:]
    return None, None


def _find_site(root: Path) -> _Site | None:
    for folder in (root, *root.parents[: _DEEPEST_ROOT - 1]):
        if site := _site_at(folder, is_root=folder == root, is_parent=folder == root.parent):
            return site
    return None


def _site_at(folder: Path, *, is_root: bool, is_parent: bool) -> _Site | None:
    if any((folder / name).is_file() for name in _DOCUSAURUS):
        return _read_docusaurus(folder, tuple(_stamps(folder, *_DOCUSAURUS, _VERSIONS, "i18n")))
    if not (is_root or is_parent):
        return None
    for name in _MKDOCS:
        if (folder / name).is_file():
            return _read_mkdocs(folder / name, tuple(_stamps(folder, name)))
    below = ("", *_SPHINX_FOLDERS) if is_root else ("",)
    for name in below:
        if any((folder / name / conf).is_file() for conf in _SPHINX):
            return _Site(folder, "sphinx", docs=name)
    return None


def _stamps(folder: Path, *names: str) -> Iterator[int | None]:
    """Yield the modification times of the files, which are cache keys for what is read from them."""
    for name in names:
        path = folder / name
        yield path.stat().st_mtime_ns if path.exists() else None


@lru_cache(maxsize=32)
def _read_docusaurus(folder: Path, _stamps: tuple[int | None, ...]) -> _Site:
    config = "".join(_read_text(folder / name) for name in _DOCUSAURUS)
    locale = _DEFAULT_LOCALE.search(config)
    has_locales = any((folder / "i18n").glob(f"*/{_PLUGIN}"))
    latest, versions = _LATEST.search(config), _read_versions(folder / _VERSIONS)
    chosen = latest[1] if latest else next(iter(versions), None)
    return _Site(
        folder,
        "docusaurus",
        docs=_route_base(config),
        versions=versions,
        latest=NEXT if chosen == "current" else chosen,
        locale=(locale[1] if locale else "en") if has_locales else None,
        is_mdx=_COMMONMARK.search(config) is None,
    )


def _route_base(config: str) -> str:
    """Return the first route in the docs options, or `docs`."""
    is_docs = False
    for found in _ROUTE_BASE.finditer(config):
        if is_docs and found["route"] is not None:
            return found["route"].strip("/")
        is_docs = bool(found["docs"]) or (is_docs and not found["blog"])
    return "docs"


@lru_cache(maxsize=32)
def _read_mkdocs(config: Path, _stamps: tuple[int | None, ...]) -> _Site:
    text = _read_text(config)
    docs = _DOCS_DIR.search(text)
    folder = docs[1].strip().strip("/") if docs else "docs"
    return _Site(config.parent, "mkdocs", folder, has_flat_urls=bool(_FLAT_URLS.search(text)))


def _read_versions(path: Path) -> tuple[str, ...]:
    try:
        names: Any = parse_json(_read_text(path) or "[]")
    except ValueError:
        return ()
    if not isinstance(names, list):
        return ()
    return tuple(str(name) for name in cast("list[Any]", names))


def _read_text(path: Path) -> str:
    """Return a configuration file's text; empty if it cannot be read, so that the defaults apply."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST_CONFIG)
    except OSError:
        return ""
