"""Responses for uploaded files. The files are untrusted, and they are served from the API's own origin."""

from pathlib import PurePosixPath
from urllib.parse import quote

from litestar import Response

from app.api.headers import CONTENT_SECURITY_POLICY
from pipelines.readers.registry import find_format

_PDF = ".pdf"


def file_response(location: str, data: bytes) -> Response[bytes]:
    """Show PDF in the browser's viewer and text as plain text; offer other files as downloads.

    No file is served as HTML, because its scripts would run in the API's origin.
    """
    name = PurePosixPath(location).name
    suffix = PurePosixPath(name).suffix.lower()
    media_type, disposition = "application/octet-stream", "attachment"
    if suffix == _PDF:
        media_type, disposition = "application/pdf", "inline"
    elif (known := find_format(suffix)) and known.input_type == "text":
        media_type, disposition = "text/plain", "inline"
    return Response(
        data,
        media_type=media_type,
        headers={
            "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(name, safe='')}",
            CONTENT_SECURITY_POLICY: "default-src 'none'; sandbox; frame-ancestors 'none'",
        },
    )
