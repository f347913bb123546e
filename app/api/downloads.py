"""Responses for uploaded files. The files are untrusted, and they are served from the API's own origin."""

from pathlib import PurePosixPath
from urllib.parse import quote

from litestar import Response

from app.api.headers import CONTENT_SECURITY_POLICY
from pipelines.readers.registry import FORMATS

_PDF = ".pdf"


def shown(location: str, data: bytes) -> Response[bytes]:
    """Show PDF in the browser's viewer and text as plain text; offer other files as downloads.

    No file is served as HTML, because its scripts would run in the API's origin.
    """
    name = PurePosixPath(location).name
    suffix = PurePosixPath(name).suffix.lower()
    kind, how = "application/octet-stream", "attachment"
    if suffix == _PDF:
        kind, how = "application/pdf", "inline"
    elif suffix in FORMATS and FORMATS[suffix].takes == "text":
        kind, how = "text/plain", "inline"
    return Response(
        data,
        media_type=kind,
        headers={
            "Content-Disposition": f"{how}; filename*=UTF-8''{quote(name, safe='')}",
            CONTENT_SECURITY_POLICY: "default-src 'none'; sandbox; frame-ancestors 'none'",
        },
    )
