"""Discovery of the files to ingest. It changes nothing."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipelines.readers import SUFFIXES, UNSUPPORTED
from pipelines.readers.sites.layout import SiteCache, SiteLocation, locate_page
from storage.errors import InvalidInput

_SKIPPED_FOLDERS = {"node_modules", "__pycache__", "venv"}


_UPLOAD_PREFIX = "upload:/"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An uploaded file: its local copy and the relative name that the client gave it.

    The path of the copy ends with that name. Each copy is in a folder of its own.
    """

    path: Path
    name: str

    @staticmethod
    def location_for(name: str) -> str:
        """Return the location that identifies the source in later uploads, wherever the copy is then."""
        return f"{_UPLOAD_PREFIX}{name}"

    @staticmethod
    def name_from_location(location: str) -> str | None:
        """Return the name of an uploaded file, or None if the location is not of an upload."""
        return (
            location.removeprefix(_UPLOAD_PREFIX) if location.startswith(_UPLOAD_PREFIX) else None
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """The files behind one path that the user gave; `root` is None if it is a single file."""

    root: Path | None
    files: tuple[Path, ...]
    unread: tuple[Path, ...] = ()
    """Documents in unsupported formats."""
    uploads: tuple[UploadedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class DiscoveredFile:
    """A file to read, and the root folder that its place in the documentation is relative to."""

    path: Path
    root: Path | None
    upload: str | None = None
    """The name of an uploaded file; None for a file that is read from its place."""

    @property
    def location(self) -> str:
        """The location that identifies the source in later ingestions."""
        return UploadedFile.location_for(self.upload) if self.upload else self.path.as_posix()

    @property
    def name(self) -> str:
        """The name that the user knows."""
        return self.upload or str(self.path)

    @property
    def relative(self) -> PurePosixPath:
        """The path relative to the root."""
        if self.upload:
            return PurePosixPath(self.upload)
        base = self.root or self.path.parent
        return PurePosixPath(self.path.relative_to(base).as_posix())

    def locate_on_site(self, sites: SiteCache) -> SiteLocation:
        """Return the place in the site that follows from the layout of the folders."""
        return locate_page(self.path, self.relative, sites)


def find_files(
    paths: Sequence[Path | UploadedFile], *, allow_empty: bool = False
) -> list[Selection]:
    """Find the files behind each path.

    Raise `InvalidInput` for a missing path, a file in an unsupported format or an empty folder.
    """
    if not paths:
        raise InvalidInput("Name at least one file or folder to ingest.")
    uploads = tuple(path for path in paths if isinstance(path, UploadedFile))
    named = [path for path in paths if isinstance(path, Path)]
    selections = [_select_path(path, allow_empty=allow_empty) for path in named]
    return [*selections, Selection(None, (), uploads=uploads)] if uploads else selections


def assign_roots(selections: Sequence[Selection], known_roots: set[str]) -> list[DiscoveredFile]:
    """Return each file once, with the outermost folder that it was ever ingested from as its root.

    So a page keeps its URL when it is ingested again alone or with a subfolder.
    """
    roots = known_roots | {s.root.as_posix() for s in selections if s.root is not None}
    found = {
        path: DiscoveredFile(path, _outermost_root(path, roots))
        for selection in selections
        for path in selection.files
    }
    sent = [DiscoveredFile(u.path, None, u.name) for s in selections for u in s.uploads]
    return [*found.values(), *sent]


def _select_path(given: Path, *, allow_empty: bool) -> Selection:
    path = _resolve(given)
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            readable = f"Ibid reads {', '.join(sorted(SUFFIXES))}."
            raise InvalidInput(f"{given}: {UNSUPPORTED.get(path.suffix.lower(), readable)}")
        return Selection(None, (path,))
    if not path.is_dir():
        if path.exists():
            raise InvalidInput(f"{given} is a device, a pipe or a socket, not a file.")
        if allow_empty:
            return Selection(path, ())
        raise InvalidInput(f"There is no file or folder {given}. Nothing was changed.")
    files: list[Path] = []
    unread: list[Path] = []
    for file in sorted(_walk(path)):
        (files if file.suffix.lower() in SUFFIXES else unread).append(file)
    if not files and not allow_empty:
        raise InvalidInput(
            f"There is nothing to read in {given}; nothing was changed. "
            "Use --prune-empty to remove what was ingested from it before."
        )
    return Selection(path, tuple(files), tuple(unread))


def _walk(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root, onerror=_raise_unreadable):
        names[:] = [n for n in names if not n.startswith((".", "_")) and n not in _SKIPPED_FOLDERS]
        for name in files:
            path = Path(folder, name)
            if _is_document(path) and _resolve(path).is_relative_to(root):
                yield path


def _resolve(path: Path) -> Path:
    """Resolve symbolic links; unlike `Path.resolve`, raise no error for a link that points to itself."""
    return Path(os.path.realpath(path))


def _raise_unreadable(error: OSError) -> None:
    raise InvalidInput(f"Cannot read {error.filename}: {error.strerror}. Nothing was changed.")


def _is_document(path: Path) -> bool:
    """Return whether the file has a known suffix and its name does not begin with a dot or an underscore.

    Dot files are private, and Docusaurus makes no page of a file whose name begins with an underscore.
    """
    suffix = path.suffix.lower()
    return (suffix in SUFFIXES or suffix in UNSUPPORTED) and not path.name.startswith((".", "_"))


def _outermost_root(path: Path, roots: set[str]) -> Path | None:
    around = [parent for parent in path.parents if parent.as_posix() in roots]
    return around[-1] if around else None
