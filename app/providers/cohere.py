"""Cohere's embeddings and rerankers. Cohere's SDK takes a second to import: only embeddings need it."""

from llama_index.core.base.embeddings.base import BaseEmbedding

from app.providers.context import ProviderContext
from app.providers.embeddings import EmbeddingModel, EmbeddingProvider
from app.providers.rerankers import RerankerProvider
from app.settings import Settings
from app.settings.required import secret_value
from storage.domain import Fingerprint
from storage.http.cohere_api import CohereAPI
from storage.rerankers import Reranker
from storage.rerankers.cohere import CohereReranker


class CohereEmbeddings(EmbeddingProvider):
    """Cohere's embedding models."""

    def describe(self, settings: Settings) -> EmbeddingModel:
        """Return the configured model; raise `InvalidInput` for an unknown model or dimension."""
        from storage.embeddings.cohere import validate_dimension  # noqa: PLC0415 - Cohere's SDK

        name = settings.cohere_embed_model
        dimension = validate_dimension(name, settings.cohere_embed_dimension)
        return EmbeddingModel(name, dimension, "int8" if settings.vectors_int8 else "float")

    def build(self, context: ProviderContext, made: Fingerprint) -> BaseEmbedding:
        """See `EmbeddingProvider`."""
        from storage.embeddings.cohere import HostedEmbedding, has_dimension_choice  # noqa: PLC0415

        settings = context.settings
        return HostedEmbedding.create(
            made.embedding,
            secret_value(settings.cohere_api_key) or "",
            settings.cohere_base_url,
            dimension=made.dimension if has_dimension_choice(made.embedding) else None,
            embedding_type=made.embedding_type,
            inputs_per_minute=settings.cohere_inputs_per_minute,
            http=context.http,
            calls=context.calls,
        )


class CohereRerankers(RerankerProvider):
    """Cohere's rerankers."""

    def build(self, context: ProviderContext) -> Reranker:
        """See `RerankerProvider`."""
        settings = context.settings
        api = CohereAPI(
            secret_value(settings.cohere_api_key) or "",
            settings.cohere_base_url,
            http=context.http,
            calls=context.calls,
        )
        model, per_minute = settings.cohere_rerank_model or "", settings.cohere_reranks_per_minute
        return CohereReranker(api, model, per_minute)
