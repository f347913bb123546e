"""Export footnotes in the formats that reference managers read."""

import json
import re
from typing import Any, Literal, cast

from app.text.markdown import escape_markdown, markdown_link, safe_address
from app.text.markers import MarkerParser, Piece
from app.text.visible import to_one_line
from storage.domain import Answer, Citation

CitationFormat = Literal["markdown", "csl-json", "bibtex"]

_LATEX_SPECIAL = re.compile(r"[&%$#_]")
_LATEX_REPLACEMENTS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def export(answer: Answer, form: CitationFormat) -> str:
    """Return the text with Markdown footnotes, or its sources with one entry for each footnote."""
    if form == "markdown":
        return _markdown(answer)
    if form == "csl-json":
        return json.dumps([_csl(c) for c in answer.citations], ensure_ascii=False, indent=2)
    return "\n\n".join(_bibtex(citation) for citation in answer.citations)


def _markdown(answer: Answer) -> str:
    """Return the text with Markdown footnotes; numbers that are not footnotes, as in code, stay unchanged."""
    parser = MarkerParser({citation.n for citation in answer.citations})
    text = "".join(map(_footnote, (*parser.feed(answer.text), *parser.close())))
    notes = [
        f"[^{c.n}]: “{escape_markdown(c.quote)}” — {markdown_link(_format_location(c), c.url)}"
        for c in answer.citations
    ]
    return "\n".join([text, "", *notes]) if notes else text


def _footnote(piece: Piece) -> str:
    if isinstance(piece, str):
        return piece
    return "".join(f"[^{number}]" for number in piece.numbers)


def _csl(citation: Citation) -> dict[str, Any]:
    """Return a CSL entry.

    https://docs.citationstyles.org/en/stable/specification.html#appendix-iv-variables.
    """
    entry: dict[str, Any] = {
        "id": f"ibid-{citation.n}",
        "type": "webpage" if citation.url.startswith("http") else "document",
        "title": to_one_line(citation.title),
        "URL": safe_address(citation.url) or to_one_line(citation.url),
        "note": f"“{to_one_line(citation.quote)}”",
    }
    if citation.section:
        entry["section"] = to_one_line(" › ".join(citation.section))
    if citation.page is not None:
        entry["page"] = str(citation.page)
    if authors := _authors(citation):
        entry["author"] = [{"literal": to_one_line(name)} for name in authors]
    if date := citation.metadata.get("date"):
        entry["issued"] = {"raw": str(date)}
    return entry


def _bibtex(citation: Citation) -> str:
    fields = {
        "title": citation.title,
        "author": " and ".join(_authors(citation)),
        "year": str(citation.metadata.get("date") or "")[:4],
        "howpublished": " › ".join(citation.section),
        "pages": "" if citation.page is None else str(citation.page),
        "note": f"“{citation.quote}”",
    }
    lines = [
        f"  {name} = {{{_escape_latex(to_one_line(value))}}},"
        for name, value in fields.items()
        if value
    ]
    url = f"  url = {{{safe_address(citation.url)}}},"
    return "\n".join([f"@misc{{ibid-{citation.n},", *lines, url, "}"])


def _authors(citation: Citation) -> list[str]:
    value: object = citation.metadata.get("authors") or citation.metadata.get("author") or []
    return [
        str(name) for name in cast("list[object]", value if isinstance(value, list) else [value])
    ]


def _format_location(citation: Citation) -> str:
    path = citation.section or (citation.title,)
    page = "" if citation.page is None else f", p. {citation.page}"
    return " › ".join(path) + page


def _escape_latex(text: str) -> str:
    braced = "".join(_LATEX_REPLACEMENTS.get(character, character) for character in text)
    return _LATEX_SPECIAL.sub(lambda found: f"\\{found[0]}", braced)
