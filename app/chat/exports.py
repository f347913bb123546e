"""Footnotes in the forms that an academic reader's tools take."""

import json
import re
from typing import Any, Literal, cast

from storage.domain import Answer, Citation

Format = Literal["markdown", "csl-json", "bibtex"]

_MARKER = re.compile(r"(?<!\\)\[(\d{1,4})\]")
_SPECIAL = re.compile(r"[&%$#_]")
_BRACES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def export(answer: Answer, form: Format) -> str:
    """The text with Markdown footnotes; or its sources, one entry a footnote."""
    if form == "markdown":
        return _markdown(answer)
    if form == "csl-json":
        return json.dumps([_csl(c) for c in answer.citations], ensure_ascii=False, indent=2)
    return "\n\n".join(_bibtex(citation) for citation in answer.citations)


def _markdown(answer: Answer) -> str:
    """A number that is no footnote's, as in code, stays as it is."""
    known = {citation.n for citation in answer.citations}
    text = _MARKER.sub(lambda m: f"[^{m[1]}]" if int(m[1]) in known else m[0], answer.text)
    notes = [
        f"[^{c.n}]: “{_line(c.quote)}” — [{_line(_place(c))}](<{c.url}>)" for c in answer.citations
    ]
    return "\n".join([text, "", *notes]) if notes else text


def _csl(citation: Citation) -> dict[str, Any]:
    """https://docs.citationstyles.org/en/stable/specification.html#appendix-iv-variables."""
    entry: dict[str, Any] = {
        "id": f"ibid-{citation.n}",
        "type": "webpage" if citation.url.startswith("http") else "document",
        "title": citation.title,
        "URL": citation.url,
        "note": f"“{_line(citation.quote)}”",
    }
    if citation.section:
        entry["section"] = " › ".join(citation.section)
    if citation.page is not None:
        entry["page"] = str(citation.page)
    if authors := _authors(citation):
        entry["author"] = [{"literal": name} for name in authors]
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
        "note": f"“{_line(citation.quote)}”",
    }
    lines = [f"  {name} = {{{_latex(value)}}}," for name, value in fields.items() if value]
    url = f"  url = {{{citation.url.replace('{', '%7B').replace('}', '%7D')}}},"
    return "\n".join([f"@misc{{ibid-{citation.n},", *lines, url, "}"])


def _authors(citation: Citation) -> list[str]:
    given: object = citation.metadata.get("authors") or citation.metadata.get("author") or []
    return [
        str(name) for name in cast("list[object]", given if isinstance(given, list) else [given])
    ]


def _place(citation: Citation) -> str:
    path = citation.section or (citation.title,)
    page = "" if citation.page is None else f", p. {citation.page}"
    return " › ".join(path).replace("[", "(").replace("]", ")") + page


def _line(text: str) -> str:
    return " ".join(text.split())


def _latex(text: str) -> str:
    braced = "".join(_BRACES.get(character, character) for character in text)
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", braced)
