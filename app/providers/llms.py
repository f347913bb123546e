"""Language models: those that are configured, in order of preference, or one given in Python."""

from collections.abc import Sequence
from typing import Any, Protocol

from llama_index.core.llms import LLM

from app.chat.condensing.llm import Rewriter
from app.llms.given import GivenLLM
from app.provider_registry import Provider, providers
from app.providers.context import ProviderContext
from app.providers.findings import Findings
from app.settings import Settings
from app.settings.model_servers import parse_fallback_models

EXTRACTIVE = "extractive"
"""The provider that answers if no other is configured, and is never combined with others."""


class LLMProvider(Protocol):
    """The implementation of a row of the kind `llm`."""

    def models(self, context: ProviderContext) -> Sequence[LLM]:
        """Build the configured models in order of preference, without a request."""
        ...

    def check(self, context: ProviderContext) -> Findings:
        """Yield what `ibid doctor` finds about the models; raise `IbidError` if the service fails."""
        ...


def chosen_llms(settings: Settings) -> list[Provider]:
    """Return the providers of hosted models, in order of preference; an empty list means extractive.

    Without `LLM`, they are all that are configured. Raise `InvalidInput` if a setting is missing.
    """
    if settings.llm == EXTRACTIVE:
        return []
    parse_fallback_models(settings)  # a key is also refused if its server is not named
    rows = [row for row in providers("llm") if _is_chosen(row, settings)]
    for row in rows:
        row.check_required(settings)
    return rows


def load_llm(row: Provider) -> LLMProvider:
    """Import the implementation of a row."""
    return row.load()


def load_extractive() -> LLMProvider:
    """Import the implementation of the extractive model."""
    return next(load_llm(row) for row in providers("llm") if row.name == EXTRACTIVE)


def build_hosted(context: ProviderContext, given: LLM | None = None) -> list[LLM]:
    """Build the hosted models in order of preference; an empty list means the extractive model.

    A model given in Python replaces them. Raise `InvalidInput` if a key or a model is missing.
    """
    if given is not None:
        return [GivenLLM(llm=given)]
    rows = chosen_llms(context.settings)
    return [model for row in rows for model in load_llm(row).models(context)]


def build_llm(context: ProviderContext, hosted: Sequence[LLM]) -> LLM:
    """Build the model that writes answers."""
    (extractive,) = load_extractive().models(context)
    if not hosted:
        return extractive
    from app.llms.fallback import FallbackLLM  # noqa: PLC0415 - OpenAI's SDK takes a second

    settings = context.settings
    models = [*hosted, extractive] if settings.llm_last_resort == EXTRACTIVE else hosted
    return FallbackLLM(models=models, restarts=True, whole_turn_seconds=settings.llm_answer_seconds)


def build_rewriter(hosted: Sequence[LLM]) -> Rewriter | None:
    """Build the rewriter, which makes follow-up questions self-contained. It uses only the first model."""
    return Rewriter(hosted[0]) if hosted else None


def limit_options(settings: Settings) -> dict[str, Any]:
    """Return the limits of an answer, as arguments of `HostedLLM.create`."""
    return {
        "max_tokens": settings.llm_max_tokens,
        "first_token_seconds": settings.llm_first_token_seconds,
        "whole_answer_seconds": settings.llm_answer_seconds,
    }


def _is_chosen(row: Provider, settings: Settings) -> bool:
    if row.chosen_by or settings.llm is None:
        return row.is_configured(settings)
    return row.name == settings.llm
