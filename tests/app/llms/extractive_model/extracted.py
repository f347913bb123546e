"""Passages for the extractive model, and what it makes of them."""

import re
from collections.abc import Sequence
from uuid import uuid4

from app.chat.answer.citations import CitedText
from app.llms.extractive_model.model import ExtractiveLLM
from app.llms.prompts import build_prompt
from storage.domain import Passage

LAMP = """Lighting the lamp

The lamp is a first-order Fresnel lens turned by a clockwork motor.

Wind the clockwork before you light the burner, because the lens must already turn when the flame
appears. To light the burner, run:

lampctl ignite --pressure 3

The burner needs a minute to become hot. It then gives a steady white flame."""
LAMP_CODE = "lampctl ignite --pressure 3"
SIGNALS = """Signals

Three signals are known at Skerry Point:

- One blast of the foghorn for low visibility
- Two blasts for a ship that stands into danger
- A red flag for a landing that is closed

Every signal is written into the logbook."""


def passage(text: str, *code: str, section: str = "", title: str = "The manual") -> Passage:
    """A passage that is a whole source; `code` are the parts of it that are not prose."""
    path = (title, section or text.split("\n", 1)[0])
    starts = [text.index(part) for part in code]
    return Passage(
        id=uuid4(),
        source_id=uuid4(),
        corpus="default",
        version=1,
        ordinal=0,
        title=title,
        section=path,
        url="https://skerry.example/manual",
        text=text,
        start=0,
        end=len(text),
        code=tuple((start, start + len(part)) for start, part in zip(starts, code, strict=True)),
    )


def ask(question: str, *passages: Passage, llm: ExtractiveLLM | None = None) -> str:
    """The model's answer, as the chat engine would get it."""
    response = (llm or ExtractiveLLM()).chat(build_prompt(question, passages))
    return response.message.content or ""


def parse_quotes(answer: str) -> list[tuple[str, int]]:
    """Each piece of prose and code in an answer, with the passage it says it comes from."""
    code = re.compile(r"^(`{3,})\n(.*?)\n\1\n\[(\d+)\]$", re.MULTILINE | re.DOTALL)
    prose = re.findall(r"“(.+?)” \[(\d+)\]", code.sub("", answer), re.DOTALL)
    return [(text, int(n)) for text, n in prose + [match[1:] for match in code.findall(answer)]]


def cited_quotes(answer: str, passages: Sequence[Passage]) -> list[str]:
    """What a reader finds behind each footnote."""
    text = CitedText(passages)
    for letter in answer:
        list(text.write(letter))
    list(text.close())
    return [citation.quote for claim in text.claims() for citation in claim.citations]


def normalize(text: str) -> str:
    """Without what may differ between a quote and its source: white space and backslashes."""
    return " ".join(text.replace("\\", "").split())
