"""Builders of the configured models for embedding, reranking, answering and verification."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM
from pydantic import SecretStr

from app.chat.condensing.llm import Rewriter
from app.llms.extractive_model.model import ExtractiveLLM
from app.llms.hosted.model_limits import ModelLimitsCache
from app.settings import Settings
from app.settings.model_servers import parse_fallback_models
from app.verification import Verifier
from app.verification.llm_judge import LLMJudge
from app.verification.local.verifier import LocalVerifier
from pipelines.ingestion.fingerprint import build_fingerprint
from storage.domain import Fingerprint
from storage.embeddings.local import DIMENSION, LOCAL_MODEL, LocalEmbedding
from storage.errors import InvalidInput
from storage.http.cohere_api import CallCounter, CohereAPI
from storage.http.pool import open_pool
from storage.index.passages import EmbeddingFactory
from storage.rerankers.cohere import CohereReranker, Reranker


@asynccontextmanager
async def open_http(settings: Settings) -> AsyncGenerator[ClientSession | None]:
    """Open one pool of connections for all hosted models; yield None if there are no hosted models."""
    if not (settings.openrouter_api_key or settings.cohere_api_key or settings.llm_fallbacks):
        yield None
        return
    async with open_pool() as http:
        yield http


def configured_fingerprint(settings: Settings) -> Fingerprint:
    """Return the fingerprint of a release that would be built now. It needs no key."""
    embedding, dimension, hosted = LOCAL_MODEL, DIMENSION, settings.embedding == "cohere"
    if hosted:
        from storage.embeddings.cohere import validate_dimension  # noqa: PLC0415 - Cohere's SDK takes a second

        embedding = settings.cohere_embed_model
        dimension = validate_dimension(embedding, settings.cohere_embed_dimension)
    return build_fingerprint(
        settings.embedding,
        embedding,
        dimension,
        embedding_type="int8" if hosted and settings.vectors_int8 else "float",
        on_disk=settings.vectors_on_disk,
        quantized=settings.vectors_int8,
    )


def check_keys(settings: Settings) -> None:
    """Raise `InvalidInput` if the chosen embedding needs a key that is not set."""
    if settings.embedding == "cohere":
        _require_key(settings.cohere_api_key, "EMBEDDING=cohere", "COHERE_API_KEY")


def build_embeddings(
    settings: Settings, http: ClientSession | None = None, calls: CallCounter | None = None
) -> EmbeddingFactory:
    """Return a function that builds the embedding model of a release from its fingerprint.

    That model may differ from the one that is configured for the next release.
    """

    def build(made: Fingerprint) -> BaseEmbedding:
        if made.is_local:
            return LocalEmbedding()
        name = f"An index built with {made.embedding}"
        key = _require_key(settings.cohere_api_key, name, "COHERE_API_KEY")
        from storage.embeddings.cohere import HostedEmbedding, has_dimension_choice  # noqa: PLC0415 - its SDK

        return HostedEmbedding.create(
            made.embedding,
            key,
            settings.cohere_base_url,
            dimension=made.dimension if has_dimension_choice(made.embedding) else None,
            embedding_type=made.embedding_type,
            inputs_per_minute=settings.cohere_inputs_per_minute,
            http=http,
            calls=calls,
        )

    return build


def build_reranker(
    settings: Settings, http: ClientSession | None = None, calls: CallCounter | None = None
) -> Reranker | None:
    """Build the reranker, or return None if none is configured. Raise `InvalidInput` without its key."""
    model = settings.cohere_rerank_model
    if not model:
        return None
    key = _require_key(settings.cohere_api_key, f"COHERE_RERANK_MODEL={model}", "COHERE_API_KEY")
    api = CohereAPI(key, settings.cohere_base_url, http=http, calls=calls)
    return CohereReranker(api, model, settings.cohere_reranks_per_minute)


def build_hosted(settings: Settings, http: ClientSession | None = None) -> list[LLM]:
    """Build the hosted models in order of preference; an empty list means the extractive model.

    Raise `InvalidInput` if a key or a model is missing.
    """
    if settings.llm == "extractive":
        return []
    if settings.llm == "openrouter":
        _require_key(settings.openrouter_api_key, "LLM=openrouter", "OPENROUTER_API_KEY")
    key = secret_value(settings.openrouter_api_key)
    hosted = [*_build_openrouter_models(settings, key, http)] if key else list[LLM]()
    hosted += _build_fallback_models(settings, http)
    if key and not hosted:
        raise InvalidInput("OPENROUTER_MODELS contains no model.")
    return hosted


def build_llm(settings: Settings, hosted: Sequence[LLM]) -> LLM:
    """Build the model that writes answers."""
    if not hosted:
        return _build_extractive()
    from app.llms.fallback import FallbackLLM  # noqa: PLC0415 - OpenAI's SDK takes a second

    last = [_build_extractive()] if settings.llm_last_resort == "extractive" else []
    return FallbackLLM(
        models=[*hosted, *last], restarts=True, whole_turn_seconds=settings.llm_answer_seconds
    )


def build_rewriter(hosted: Sequence[LLM]) -> Rewriter | None:
    """Build the rewriter, which makes follow-up questions self-contained. It uses only the first model."""
    return Rewriter(hosted[0]) if hosted else None


def build_verifier(settings: Settings, embedding: LocalEmbedding, llm: LLM) -> Verifier:
    """Build the verifier of claims. The default compares words, numbers and names, without an LLM."""
    return LLMJudge(llm) if settings.verifier == "llm" else LocalVerifier(embedding)


def secret_value(key: SecretStr | None) -> str | None:
    """Return a key as plain text, to send to its service."""
    return key.get_secret_value() if key else None


def _build_openrouter_models(
    settings: Settings, key: str, http: ClientSession | None
) -> Iterator[LLM]:
    """Yield the OpenRouter models. Each has the models after it as OpenRouter's own fallbacks."""
    from app.llms.hosted.model import HostedLLM  # noqa: PLC0415 - OpenAI's SDK

    base, names = settings.openrouter_base_url, settings.models
    catalogue = ModelLimitsCache(base, http, settings.ibid_home / "models.json") if http else None
    for number, name in enumerate(names):
        yield HostedLLM.create(
            base,
            key,
            name,
            names[number + 1 :],
            provider=settings.openrouter_provider,
            headers=_attribution_headers(settings),
            model_limits=catalogue,
            http=http,
            **_limit_options(settings),
        )


def _build_fallback_models(settings: Settings, http: ClientSession | None) -> Iterator[LLM]:
    """Yield the models of other servers. These get no attribution headers or provider options."""
    named = {"key_setting": "LLM_FALLBACK_API_KEYS", "models_setting": "LLM_FALLBACKS"}
    for name, url, key in parse_fallback_models(settings):
        from app.llms.hosted.model import HostedLLM  # noqa: PLC0415 - OpenAI's SDK

        yield HostedLLM.create(
            url, key, name, http=http, settings=named, **_limit_options(settings)
        )


def _limit_options(settings: Settings) -> dict[str, Any]:
    return {
        "max_tokens": settings.llm_max_tokens,
        "first_token_seconds": settings.llm_first_token_seconds,
        "whole_answer_seconds": settings.llm_answer_seconds,
    }


def _attribution_headers(settings: Settings) -> dict[str, str]:
    """Return headers that tell OpenRouter the application's URL and title, if a URL is set."""
    url = settings.openrouter_app_url or settings.public_url
    if not url:
        return {}
    headers = {"HTTP-Referer": url}
    title = settings.openrouter_app_title
    return {**headers, "X-OpenRouter-Title": title} if title else headers


def _build_extractive() -> LLM:
    """Build the extractive model. Its embedding is always local, as it embeds about 40 candidates."""
    return ExtractiveLLM(embedding=LocalEmbedding())


def require(value: str | None, choice: str, name: str) -> str:
    """Return the value. Raise `InvalidInput` if it is not set although `choice` needs it."""
    if not value:
        raise InvalidInput(f"{choice} needs {name}, which is not set.")
    return value


def _require_key(key: SecretStr | None, choice: str, name: str) -> str:
    return require(secret_value(key), choice, name)
