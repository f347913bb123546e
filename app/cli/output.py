"""Output of answers and passages to a terminal."""

import re
import shutil
import textwrap
from collections.abc import Sequence

from app.answer_notes import notes
from app.cli.terminal import say
from storage.domain import Answer, Citation, Passage

_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_WIDEST = 100


def show_answer(answer: Answer) -> None:
    """Print an answer, its footnotes with the exact quotes, and the model that wrote it."""
    say(_filled(_ESCAPED.sub(r"\1", answer.text).replace("&lt;", "<")))
    for citation in answer.citations:
        say()
        _show_footnote(citation)
    for note in notes(answer):
        say(f"\nNote: {note}")
    say()
    say(f"{_signature(answer)}\nconversation {answer.conversation_id}", dim=True)


def show_passages(passages: Sequence[Passage]) -> None:
    """Print passages, best first."""
    if not passages:
        say("Nothing found.")
    for number, passage in enumerate(passages, 1):
        score = "" if passage.score is None else f"  {passage.score:.2f}"
        say(f"{number}. {_place(passage)}", bold=True, nl=False)
        say(score, dim=True)
        say(f"   {passage.url}", fg="blue")
        say(_filled(passage.text, "   "))
        say()


def _show_footnote(citation: Citation) -> None:
    say(f"[{citation.n}] {_place(citation)}", bold=True)
    say(f"    {citation.url}", fg="blue")
    say(_filled(f"“{citation.quote}”", "    "))


def _place(at: Citation | Passage) -> str:
    path = at.section if at.section[:1] == (at.title,) else (at.title, *at.section)
    page = f", p. {at.page}" if at.page is not None else ""
    return " › ".join(path) + page


def _signature(answer: Answer) -> str:
    if answer.model == "extractive":
        return "Answered by the extractive model: sentences of the sources themselves, quoted."
    model = answer.model
    told = [f"Answered by {model}." if model else "Declined: no model was asked to answer."]
    if answer.rewriting:
        told.append(f"{answer.rewriting.model} rewrote the question.")
    if answer.finish == "length":
        told.append("The answer is cut off: it reached the limit LLM_MAX_TOKENS.")
    told += [f"{tried.model} did not answer: {tried.error}." for tried in answer.attempts]
    return " ".join(told)


def _filled(text: str, indent: str = "") -> str:
    """Wrap prose to the width of the terminal. Lines of code stay as they are."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
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
