"""Models at the stand-in, and what becomes of asking them."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from llama_index.core.llms import LLM

from app.llms.fallback import FallbackLLM
from app.llms.hosted.model import HostedLLM
from app.llms.prompts import messages
from app.llms.response import ResponseMetadata
from tests.app.llms.extractive_model.extracted import passage
from tests.doubles.services import Doubles

_FUEL = "The lamp burns 2.4 litres of paraffin an hour. It is filled every morning."
PROMPT = messages("Fuel?", [passage(_FUEL, section="Lamp")])
SAID = "The lamp burns 2.4 litres of paraffin an hour. [1]"


@dataclass
class Heard:
    """Deltas since the last restart, and the last of what a response carried."""

    text: str
    spoken: ResponseMetadata
    restarts: int


def model(
    doubles: Doubles, what: str, *fallbacks: str, key: str = "any", **options: Any
) -> HostedLLM:
    names = [f"double/{name}" for name in fallbacks]
    return HostedLLM.at(doubles.openrouter, key, f"double/{what}", names, **options)


def models(doubles: Doubles, *whats: str, **options: Any) -> FallbackLLM:
    """In this order, each with nothing to fall back on by itself."""
    llms: Sequence[LLM] = [model(doubles, what, **options) for what in whats]
    return FallbackLLM(models=llms, restarts=True)


async def ask(llm: LLM) -> Heard:
    text, spoken, restarts = "", None, 0
    async with aclosing(await llm.astream_chat(PROMPT)) as responses:
        async for response in responses:
            if isinstance(response.raw, ResponseMetadata):
                spoken = response.raw
                if spoken.restarted:
                    text, restarts = "", restarts + 1
            text += response.delta or ""
            assert response.message.content == text
    assert spoken is not None, "an answer says at its end who gave it"
    return Heard(text, spoken, restarts)
