"""Where files lie on the server is for admins to know: all others are led to the text that was read."""

from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from pipelines.uploads.upload_job import is_upload
from storage.domain import Answer, Citation, CitedSource, NearestSection, Passage
from storage.sql.tables import Source, SourceText

_FILE = "file:"


def passage_without_path(passage: Passage) -> Passage:
    """With an address over the API in place of one on the server."""
    if not passage.url.startswith(_FILE):
        return passage
    url = _address(passage.url, passage.source_id, passage.version)
    return passage.model_copy(update={"url": url})


def source_without_path(source: Source) -> Source:
    """Likewise, and a file is told by its place within its folder; what was sent, by the name it had."""
    if is_upload(source):
        return source
    path = PurePosixPath(source.location)
    folder = PurePosixPath(source.root) if source.root else path.parent
    fields: dict[str, Any] = source.model_dump() | {
        "location": path.relative_to(folder).as_posix(),
        "root": None,
        "url": _address(source.url, source.id, source.version),
    }
    return Source(**fields)


def text_without_path(text: SourceText) -> SourceText:
    """With an address over the API in place of one on the server."""
    url = _address(text.url, text.source_id, text.version)
    fields: dict[str, Any] = text.model_dump() | {"url": url}
    return SourceText(**fields)


def without_paths(answer: Answer) -> Answer:
    """An answer that was given to an admin, or before paths were kept from others."""
    told = _told(answer)
    new = {each.url: _address_of(each) for each in told if each.url.startswith(_FILE)}
    if not new:
        return answer
    text = answer.model_dump_json()
    for url in sorted(new, key=len, reverse=True):
        text = text.replace(url, new[url])
    return Answer.model_validate_json(text)


def _told(answer: Answer) -> list[Citation | CitedSource | NearestSection]:
    nearest = answer.abstention.nearest if answer.abstention else ()
    return [*answer.citations, *answer.sources, *nearest]


def _address_of(told: Citation | CitedSource | NearestSection) -> str:
    if isinstance(told, Citation):
        return _address(told.url, told.source_id, told.source_version)
    if isinstance(told, CitedSource):
        return _address(told.url, told.id, told.version)
    return _address(told.url, told.source_id)


def _address(url: str, source_id: UUID, version: int | None = None) -> str:
    """Where the API has the text, at the same anchor; what is no path stays."""
    if not url.startswith(_FILE):
        return url
    _, mark, anchor = url.partition("#")
    query = f"?version={version}" if version else ""
    return f"/api/v1/sources/{source_id}/text{query}{mark}{anchor}"
