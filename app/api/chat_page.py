"""The chat page at `/`, and the files it loads."""

from pathlib import Path

from litestar import Controller, MediaType, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import File

import app.web
from app.api.auth import NO_SIGN_IN
from app.api.headers import CONTENT_SECURITY_POLICY
from app.web.pages import page_templates

_ASSETS = Path(app.web.__file__).parent / "assets"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
"""Media types by suffix. Some systems map `.js` to plain text, which browsers refuse to run."""

PAGE_HEADERS = {
    CONTENT_SECURITY_POLICY: "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Headers that allow only Ibid's own scripts, whatever an answer or a source contains."""


class PageController(Controller):
    """`/` and the files that it loads. None come from other sites."""

    response_headers = {**PAGE_HEADERS, "Cache-Control": "no-cache"}  # noqa: RUF012
    include_in_schema = False
    opt = NO_SIGN_IN

    @get("/", sync_to_thread=False, media_type=MediaType.HTML)
    def page(self, state: State) -> str:
        """Return the chat page."""
        page = page_templates().get_template("page.html")
        return page.render(sign_in_url=state.sign_in_url or "")

    @get("/assets/{name:str}", sync_to_thread=False)
    def asset(self, name: FromPath[str]) -> File:
        """Return a stylesheet, a script or the icon."""
        return _file(name)


def _file(name: str) -> File:
    if name not in {path.name for path in _ASSETS.iterdir()}:
        raise NotFoundException(f"There is no file {name!r}.")
    path = _ASSETS / name
    return File(path, media_type=_MEDIA_TYPES[path.suffix], content_disposition_type="inline")
