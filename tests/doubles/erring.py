"""A model that paraphrases its passages and makes deliberate errors, chosen by a seed."""

import random
import re
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM

from app.llms.prompts import PromptPassage, QuestionMessage
from app.llms.response import build_response
from pipelines.ingestion.sentences import split_sentences

ERRORS = ("none", "number", "entity", "invented", "marker")

_NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b|\b(?:two|three|four|five|ten|thirty|fifty)\b")
_CLAUSES = re.compile(
    r"(?P<first>[^,]+?),? (?P<link>because|so that|when|before|and) (?P<last>.+)\."
)
_INVENTED = (
    "The harbour master of Antwerp pays a pension to the widows of the crew.",
    "Every second Friday the cook bakes seventeen loaves for the schoolhouse.",
    "The first engineer, Ezekiel Thornbury, later emigrated to Patagonia.",
)
_ENTITIES = ("Patagonia", "Thornbury", "Antwerp", "Ezekiel")
_LEAST_WORDS = 6


class ErringLLM(CustomLLM):
    """Makes one claim from each sentence of its passages; `log` records the error in each."""

    seed: int
    log: list[tuple[str, str]] = []  # noqa: RUF012 - a pydantic field, copied for each

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="erring", is_chat_model=True)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        text = self._answer(messages[-1])
        return (build_response(text[: i + 7], text[i : i + 7]) for i in range(0, len(text), 7))

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        raise NotImplementedError

    def _answer(self, question: ChatMessage) -> str:
        assert isinstance(question, QuestionMessage)
        rng = random.Random(self.seed)  # noqa: S311 - to be the same every time
        passages = question.passages
        return " ".join(
            self._claim(rng, passage, said, passages)
            for passage, said in _usable_sentences(passages)
        )

    def _claim(
        self,
        rng: random.Random,
        passage: PromptPassage,
        said: str,
        passages: Sequence[PromptPassage],
    ) -> str:
        error, told, n = rng.choice(ERRORS), _paraphrase(said), passage.n
        if error == "number" and _NUMBER.search(told):
            told = _NUMBER.sub(str(rng.randint(601, 999)), told, count=1)
        elif error == "entity":
            words = told.rstrip(".").split()
            told = " ".join([*words[:-1], rng.choice(_ENTITIES)]) + "."
        elif error == "invented":
            told = rng.choice(_INVENTED)
        elif error == "marker" and len(passages) > 1:
            n = rng.choice([other.n for other in passages if other.n != n])
        else:
            error = "none"
        self.log.append((error, told))
        return f"{told[:-1]} [{n}]."


def _usable_sentences(passages: Sequence[PromptPassage]) -> list[tuple[PromptPassage, str]]:
    found = [
        (p, " ".join(p.text[a:b].split())) for p in passages for a, b in split_sentences(p.text)
    ]
    return [
        (p, said) for p, said in found if said.endswith(".") and len(said.split()) >= _LEAST_WORDS
    ]


def _paraphrase(said: str) -> str:
    """Swap the clauses if that keeps the meaning; otherwise begin with "As the manual has it"."""
    clauses = _CLAUSES.fullmatch(said)
    if clauses and clauses["link"] in {"because", "when"}:
        last = clauses["last"][0].lower() + clauses["last"][1:]
        return f"{clauses['link'].title()} {last}, {clauses['first'][0].lower()}{clauses['first'][1:]}."
    return f"As the manual has it, {said[0].lower()}{said[1:]}"
