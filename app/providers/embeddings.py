"""Embeddings: the model of the next release, and the models of the releases that exist."""

from dataclasses import dataclass
from typing import Literal, Protocol

from llama_index.core.base.embeddings.base import BaseEmbedding

from app.provider_registry import Provider, find_provider
from app.providers.context import ProviderContext
from app.settings import Settings
from pipelines.ingestion.fingerprint import build_fingerprint
from storage.domain import PYTHON_PROVIDER, Fingerprint
from storage.errors import IndexMismatch, InvalidInput
from storage.index.passages import EmbeddingFactory

_DEFAULT_NAME: str = BaseEmbedding.model_fields["model_name"].default
"""The name that LlamaIndex gives to an embedding without one."""


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """What a fingerprint stores of a model."""

    name: str
    dimension: int
    number_type: Literal["float", "int8"] = "float"


class EmbeddingProvider(Protocol):
    """The implementation of a row of the kind `embedding`."""

    def describe(self, settings: Settings) -> EmbeddingModel:
        """Return the configured model. This needs no key and no request."""
        ...

    def build(self, context: ProviderContext, made: Fingerprint) -> BaseEmbedding:
        """Build the embedding of a release, which may not be the configured one.

        Raise `IndexMismatch` if the provider no longer has the model.
        """
        ...


@dataclass(frozen=True, slots=True)
class GivenEmbedding:
    """An embedding that was given to `open_services`, with its measured dimension."""

    embedding: BaseEmbedding
    model: EmbeddingModel

    @classmethod
    async def measure(cls, embedding: BaseEmbedding) -> "GivenEmbedding":
        """Measure the dimension by embedding one text; raise `InvalidInput` if the model has no name."""
        if embedding.model_name in ("", _DEFAULT_NAME):
            raise InvalidInput(
                "The embedding has no name: pass model_name=..., so that an index is not searched with "
                "another embedding of the same dimension."
            )
        vector = await embedding.aget_text_embedding("lighthouse")
        return cls(embedding, EmbeddingModel(embedding.model_name, len(vector)))

    def build(self, made: Fingerprint) -> BaseEmbedding:
        """Return the embedding; raise `IndexMismatch` if it did not make the vectors of the release."""
        if (made.embedding, made.dimension) != (self.model.name, self.model.dimension):
            raise IndexMismatch(
                f"{_describe_python_index(made)} The embedding that was given is "
                f"{self.model.name} with {self.model.dimension} dimensions."
            )
        return self.embedding


def configured_fingerprint(settings: Settings, given: GivenEmbedding | None = None) -> Fingerprint:
    """Return the fingerprint of a release that would be built now. It needs no key."""
    provider, model = PYTHON_PROVIDER, given.model if given else None
    if model is None:
        row = _find_configured(settings)
        provider, model = row.name, _load(row).describe(settings)
    return build_fingerprint(
        provider,
        model.name,
        model.dimension,
        embedding_type=model.number_type,
        on_disk=settings.vectors_on_disk,
        quantized=settings.vectors_int8,
    )


def check_embedding(settings: Settings) -> None:
    """Raise `InvalidInput` if the configured embedding needs a setting that is missing."""
    _find_configured(settings).check_required(settings)


def build_embeddings(
    context: ProviderContext, given: GivenEmbedding | None = None
) -> EmbeddingFactory:
    """Return a function that builds the embedding model of a release from its fingerprint.

    That model may differ from the one that is configured for the next release.
    """

    def build(made: Fingerprint) -> BaseEmbedding:
        if made.provider == PYTHON_PROVIDER:
            if given is None:
                raise IndexMismatch(_describe_python_index(made))
            return given.build(made)
        row = find_provider("embedding", made.provider)
        if row is None:
            raise IndexMismatch(
                f"The index was built with the embedding provider {made.provider!r}, which this version "
                "of Ibid does not have. Run `ibid reindex`."
            )
        row.check_required(context.settings, f"An index built with {made.embedding}")
        return _load(row).build(context, made)

    return build


def _find_configured(settings: Settings) -> Provider:
    row = find_provider("embedding", settings.embedding)
    if row is None:
        raise AssertionError("the settings accept only names in the registry")
    return row


def _load(row: Provider) -> EmbeddingProvider:
    return row.load()


def _describe_python_index(made: Fingerprint) -> str:
    return (
        f"The index was built with an embedding given in Python, {made.embedding} with {made.dimension} "
        "dimensions: pass it as open_services(embedding=...), or run `ibid reindex` to build an index "
        "with the embedding of the settings."
    )
