"""Endpoints for stored answers: export of citations, HTML, and gaps in the documentation."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from app.api.chat_page import PAGE_HEADERS
from app.conversations.citation_export import CitationFormat, export
from app.conversations.gaps import Gap
from app.conversations.service import ConversationService
from app.web.rendering import render
from storage.domain import Value

_MEDIA_TYPES: dict[CitationFormat, str] = {
    "markdown": "text/markdown; charset=utf-8",
    "csl-json": "application/vnd.citationstyles.csl+json",
    "bibtex": "application/x-bibtex; charset=utf-8",
}


class Gaps(Value):
    """Gaps in the documentation, largest first."""

    gaps: tuple[Gap, ...]


class MessageController(Controller):
    """`/api/v1/messages` and `/api/v1/gaps`."""

    tags = ("messages",)

    @get("/messages/{message_id:uuid}/citations", summary="Export an answer's citations")
    async def citations(
        self,
        message_id: FromPath[UUID],
        history: NamedDependency[ConversationService],
        form: Annotated[CitationFormat, QueryParameter(name="format")] = "csl-json",
    ) -> Response[str]:
        """Export an answer as Markdown with footnotes, or its citations as CSL-JSON or BibTeX."""
        return Response(
            export(await history.answer(message_id), form), media_type=_MEDIA_TYPES[form]
        )

    @get(
        "/messages/{message_id:uuid}/html",
        media_type=MediaType.HTML,
        response_headers=PAGE_HEADERS,
        summary="Read an answer as HTML",
    )
    async def html(
        self, message_id: FromPath[UUID], history: NamedDependency[ConversationService]
    ) -> str:
        """Return a sanitised fragment. Markers are `button[data-note]`, claims are `span[data-claim]`."""
        return render(await history.answer(message_id))

    @get("/gaps", summary="List gaps in the documentation")
    async def gaps(self, history: NamedDependency[ConversationService]) -> Gaps:
        """List declined questions and unsupported claims, grouped by nearest section."""
        return Gaps(gaps=tuple(await history.gaps()))
