"""The models that are configured: what embeds, reranks, answers and judges."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM
from pydantic import SecretStr

from app.chat.condensing.llm import Rewriter
from app.model_servers import served_models
from app.settings import Settings
from app.verification import Verifier
from app.verification.llm_judge import LLMJudge
from app.verification.local.verifier import LocalVerifier
from pipelines.ingestion.fingerprint import fingerprint
from storage.domain import Fingerprint
from storage.embeddings.local import DIMENSION, LOCAL_MODEL, LocalEmbedding
from storage.errors import InvalidInput
from storage.index.passages import Embeddings

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from storage.http.cohere_api import Calls
    from storage.rerankers.cohere import Reranker


@asynccontextmanager
async def open_http(settings: Settings) -> AsyncGenerator["ClientSession | None"]:
    """One pool of connections for all hosted models; none when there are none."""
    if not (settings.openrouter_api_key or settings.cohere_api_key or settings.llm_fallbacks):
        yield None
        return
    from storage.http.pool import open_pool  # noqa: PLC0415 - with aiohttp and its certificates

    async with open_pool() as http:
        yield http


def configured_fingerprint(settings: Settings) -> Fingerprint:
    """Of a release built now; needs no key."""
    embedding, dimension, hosted = LOCAL_MODEL, DIMENSION, settings.embedding == "cohere"
    if hosted:
        from storage.embeddings.cohere import checked_dimension  # noqa: PLC0415 - the SDK takes a second

        embedding = settings.cohere_embed_model
        dimension = checked_dimension(embedding, settings.cohere_embed_dimension)
    return fingerprint(
        embedding,
        dimension,
        embedding_type="int8" if hosted and settings.vectors_int8 else "float",
        on_disk=settings.vectors_on_disk,
        quantized=settings.vectors_int8,
    )


def check_keys(settings: Settings) -> None:
    """Raises `InvalidInput` when the embedding that is chosen has no key."""
    if settings.embedding == "cohere":
        _required(settings.cohere_api_key, "EMBEDDING=cohere", "COHERE_API_KEY")


def build_embeddings(
    settings: Settings, http: "ClientSession | None" = None, calls: "Calls | None" = None
) -> Embeddings:
    """Builds what a release was embedded with, whatever is configured for the next one."""

    def build(made: Fingerprint) -> BaseEmbedding:
        if made.embedding == LOCAL_MODEL:
            return LocalEmbedding()
        name = f"An index built with {made.embedding}"
        key = _required(settings.cohere_api_key, name, "COHERE_API_KEY")
        from storage.embeddings.cohere import HostedEmbedding, has_choice  # noqa: PLC0415 - a second

        return HostedEmbedding.named(
            made.embedding,
            key,
            settings.cohere_base_url,
            dimension=made.dimension if has_choice(made.embedding) else None,
            embedding_type=made.embedding_type,
            inputs_per_minute=settings.cohere_inputs_per_minute,
            http=http,
            calls=calls,
        )

    return build


def build_reranker(
    settings: Settings, http: "ClientSession | None" = None, calls: "Calls | None" = None
) -> "Reranker | None":
    """What orders passages anew, if anything does; raises `InvalidInput` without its key."""
    model = settings.cohere_rerank_model
    if not model:
        return None
    key = _required(settings.cohere_api_key, f"COHERE_RERANK_MODEL={model}", "COHERE_API_KEY")
    from storage.http.cohere_api import CohereAPI  # noqa: PLC0415 - with aiohttp
    from storage.rerankers.cohere import CohereReranker  # noqa: PLC0415

    api = CohereAPI(key, settings.cohere_base_url, http=http, calls=calls)
    return CohereReranker(api, model, settings.cohere_reranks_per_minute)


def build_hosted(settings: Settings, http: "ClientSession | None" = None) -> list[LLM]:
    """In order of preference; none for the extractive model. Raises `InvalidInput` without a key."""
    if settings.llm == "extractive":
        return []
    if settings.llm == "openrouter":
        _required(settings.openrouter_api_key, "LLM=openrouter", "OPENROUTER_API_KEY")
    key = revealed(settings.openrouter_api_key)
    hosted = [*_of_openrouter(settings, key, http)] if key else list[LLM]()
    hosted += _served(settings, http)
    if key and not hosted:
        raise InvalidInput("OPENROUTER_MODELS names no model.")
    return hosted


def build_llm(settings: Settings, hosted: Sequence[LLM]) -> LLM:
    """What writes answers."""
    if not hosted:
        return _extractive()
    from app.llms.fallback import FallbackLLM  # noqa: PLC0415 - the SDK takes a second

    last = [_extractive()] if settings.llm_last_resort == "extractive" else []
    return FallbackLLM(
        models=[*hosted, *last], restarts=True, whole_turn_seconds=settings.llm_answer_seconds
    )


def build_rewriter(hosted: Sequence[LLM]) -> Rewriter | None:
    """What makes follow-ups whole: the first choice, and no other in its place."""
    return Rewriter(hosted[0]) if hosted else None


def build_verifier(settings: Settings, words: LocalEmbedding, llm: LLM) -> Verifier:
    """What judges claims; by default words, numbers and names, with no model."""
    return LLMJudge(llm) if settings.verifier == "llm" else LocalVerifier(words)


def revealed(key: SecretStr | None) -> str | None:
    """For the service it belongs to."""
    return key.get_secret_value() if key else None


def _of_openrouter(settings: Settings, key: str, http: "ClientSession | None") -> Iterator[LLM]:
    """Each with those after it as the server's own fallbacks."""
    from app.llms.hosted.model import HostedLLM  # noqa: PLC0415
    from app.llms.hosted.model_limits import Catalogue  # noqa: PLC0415

    base, names = settings.openrouter_base_url, settings.models
    catalogue = Catalogue(base, http, settings.ibid_home / "models.json") if http else None
    for number, name in enumerate(names):
        yield HostedLLM.at(
            base,
            key,
            name,
            names[number + 1 :],
            provider=settings.openrouter_provider,
            headers=_attribution(settings),
            catalogue=catalogue,
            http=http,
            **_limits(settings),
        )


def _served(settings: Settings, http: "ClientSession | None") -> Iterator[LLM]:
    """Those of other servers, which are told nothing but the question."""
    named = {"key_setting": "LLM_FALLBACK_API_KEYS", "models_setting": "LLM_FALLBACKS"}
    for name, url, key in served_models(settings):
        from app.llms.hosted.model import HostedLLM  # noqa: PLC0415

        yield HostedLLM.at(url, key, name, http=http, settings=named, **_limits(settings))


def _limits(settings: Settings) -> dict[str, Any]:
    return {
        "max_tokens": settings.llm_max_tokens,
        "first_token_seconds": settings.llm_first_token_seconds,
        "whole_answer_seconds": settings.llm_answer_seconds,
    }


def _attribution(settings: Settings) -> dict[str, str]:
    """Who asks, if OpenRouter is to know."""
    url = settings.openrouter_app_url or settings.public_url
    if not url:
        return {}
    told = {"HTTP-Referer": url}
    title = settings.openrouter_app_title
    return {**told, "X-OpenRouter-Title": title} if title else told


def _extractive() -> LLM:
    """Reads every candidate, and always with the local embedding: hosted, that were forty texts."""
    from app.llms.extractive_model.model import ExtractiveLLM  # noqa: PLC0415

    return ExtractiveLLM(embedding=LocalEmbedding())


def required(value: str | None, choice: str, name: str) -> str:
    """Raises `InvalidInput` when what a choice needs is not set."""
    if not value:
        raise InvalidInput(f"{choice} needs {name}, which is not set.")
    return value


def _required(key: SecretStr | None, choice: str, name: str) -> str:
    return required(revealed(key), choice, name)
