"""Output of answers and passages to a terminal."""

import re
import shutil
import textwrap
from collections.abc import Sequence

from app.cli.terminal import echo
from app.flag_notes import list_notes
from storage.domain import Answer, Citation, Passage

_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_MAX_WIDTH = 100


def show_answer(answer: Answer) -> None:
    """Print an answer, its footnotes with the exact quotes, and the model that wrote it."""
    echo(_wrap(_ESCAPED.sub(r"\1", answer.text).replace("&lt;", "<")))
    for citation in answer.citations:
        echo()
        _show_footnote(citation)
    for note in list_notes(answer):
        echo(f"\nNote: {note}")
    echo()
    echo(f"{_describe_model(answer)}\nconversation {answer.conversation_id}", dim=True)


def show_passages(passages: Sequence[Passage]) -> None:
    """Print passages, best first."""
    if not passages:
        echo("Nothing found.")
    for number, passage in enumerate(passages, 1):
        score = "" if passage.score is None else f"  {passage.score:.2f}"
        echo(f"{number}. {_format_location(passage)}", bold=True, nl=False)
        echo(score, dim=True)
        echo(f"   {passage.url}", fg="blue")
        echo(_wrap(passage.text, "   "))
        echo()


def _show_footnote(citation: Citation) -> None:
    echo(f"[{citation.n}] {_format_location(citation)}", bold=True)
    echo(f"    {citation.url}", fg="blue")
    echo(_wrap(f"“{citation.quote}”", "    "))


def _format_location(at: Citation | Passage) -> str:
    path = at.section if at.section[:1] == (at.title,) else (at.title, *at.section)
    page = f", p. {at.page}" if at.page is not None else ""
    return " › ".join(path) + page


def _describe_model(answer: Answer) -> str:
    if answer.model == "extractive":
        return "Answered by the extractive model: sentences of the sources themselves, quoted."
    model = answer.model
    sentences = [f"Answered by {model}." if model else "Declined: no model was asked to answer."]
    if answer.rewriting:
        sentences.append(f"{answer.rewriting.model} rewrote the question.")
    if answer.finish == "length":
        sentences.append("The answer is cut off: it reached the limit LLM_MAX_TOKENS.")
    sentences += [f"{tried.model} did not answer: {tried.error}." for tried in answer.attempts]
    return " ".join(sentences)


def _wrap(text: str, indent: str = "") -> str:
    """Wrap prose to the width of the terminal. Lines of code stay as they are."""
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH)
    wrap = textwrap.TextWrapper(
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines: list[str] = []
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if fenced or line.startswith((" ", "\t")) or len(indent + line) <= width:
            lines.append((indent + line).rstrip())
        else:
            lines.append(wrap.fill(line))
    return "\n".join(lines)
