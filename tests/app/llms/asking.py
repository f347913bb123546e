"""Models at the stand-in, and what becomes of asking them."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from llama_index.core.llms import LLM

from app.llms.fallback import FallbackLLM
from app.llms.hosted.model import HostedLLM
from app.llms.prompts import build_prompt
from app.llms.response import ResponseMetadata
from tests.app.llms.extractive_model.extracted import passage
from tests.doubles.services import Doubles

_FUEL = "The lamp burns 2.4 litres of paraffin an hour. It is filled every morning."
PROMPT = build_prompt("Fuel?", [passage(_FUEL, section="Lamp")])
SAID = "The lamp burns 2.4 litres of paraffin an hour. [1]"


@dataclass
class StreamedAnswer:
    """Deltas since the last restart, and the last of what a response carried."""

    text: str
    metadata: ResponseMetadata
    restarts: int


def build_model(
    doubles: Doubles, behaviour: str, *fallbacks: str, key: str = "any", **options: Any
) -> HostedLLM:
    names = [f"double/{name}" for name in fallbacks]
    return HostedLLM.create(doubles.openrouter, key, f"double/{behaviour}", names, **options)


def build_models(doubles: Doubles, *behaviours: str, **options: Any) -> FallbackLLM:
    """In this order, each with nothing to fall back on by itself."""
    llms: Sequence[LLM] = [build_model(doubles, what, **options) for what in behaviours]
    return FallbackLLM(models=llms, restarts=True)


async def ask(llm: LLM) -> StreamedAnswer:
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
    return StreamedAnswer(text, spoken, restarts)
