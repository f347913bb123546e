"""Redaction of the server's file paths: users who are not admins get links to the canonical text instead."""

from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from pipelines.uploads.upload_job import is_upload
from storage.domain import Answer, Citation, CitedSource, NearestSection, Passage
from storage.sql.tables import Source, SourceText

_FILE = "file:"


def passage_without_path(passage: Passage) -> Passage:
    """Replace a `file:` URL with the API's URL of the text."""
    if not passage.url.startswith(_FILE):
        return passage
    url = _text_url(passage.url, passage.source_id, passage.version)
    return passage.model_copy(update={"url": url})


def source_without_path(source: Source) -> Source:
    """Replace a `file:` URL, and make the location relative to its folder. Uploads stay as they are."""
    if is_upload(source):
        return source
    path = PurePosixPath(source.location)
    folder = PurePosixPath(source.root) if source.root else path.parent
    fields: dict[str, Any] = source.model_dump() | {
        "location": path.relative_to(folder).as_posix(),
        "root": None,
        "url": _text_url(source.url, source.id, source.version),
    }
    return Source(**fields)


def text_without_path(text: SourceText) -> SourceText:
    """Replace a `file:` URL with the API's URL of the text."""
    url = _text_url(text.url, text.source_id, text.version)
    fields: dict[str, Any] = text.model_dump() | {"url": url}
    return SourceText(**fields)


def answer_without_paths(answer: Answer) -> Answer:
    """Replace all `file:` URLs in a stored answer, e.g. one that was given to an admin."""
    values = _values_with_urls(answer)
    new = {value.url: _url_for_clients(value) for value in values if value.url.startswith(_FILE)}
    if not new:
        return answer
    text = answer.model_dump_json()
    for url in sorted(new, key=len, reverse=True):
        text = text.replace(url, new[url])
    return Answer.model_validate_json(text)


def _values_with_urls(answer: Answer) -> list[Citation | CitedSource | NearestSection]:
    nearest = answer.abstention.nearest if answer.abstention else ()
    return [*answer.citations, *answer.sources, *nearest]


def _url_for_clients(value: Citation | CitedSource | NearestSection) -> str:
    if isinstance(value, Citation):
        return _text_url(value.url, value.source_id, value.source_version)
    if isinstance(value, CitedSource):
        return _text_url(value.url, value.id, value.version)
    return _text_url(value.url, value.source_id)


def _text_url(url: str, source_id: UUID, version: int | None = None) -> str:
    """Return the API's URL of the text, with the same anchor. Return other URLs unchanged."""
    if not url.startswith(_FILE):
        return url
    _, mark, anchor = url.partition("#")
    query = f"?version={version}" if version else ""
    return f"/api/v1/sources/{source_id}/text{query}{mark}{anchor}"
