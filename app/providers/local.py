"""The local embedding and the local verifier, which need no key and no server."""

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM

from app.providers.context import ProviderContext
from app.providers.embeddings import EmbeddingModel, EmbeddingProvider
from app.providers.verifiers import VerifierProvider
from app.settings import Settings
from app.verification import Verifier
from app.verification.local.verifier import LocalVerifier
from storage.domain import Fingerprint
from storage.embeddings.local import DIMENSION, LOCAL_MODEL, LocalEmbedding
from storage.errors import IndexMismatch


class LocalEmbeddings(EmbeddingProvider):
    """The embedding that is installed with Ibid."""

    def describe(self, settings: Settings) -> EmbeddingModel:  # noqa: ARG002 - there is one model
        """See `EmbeddingProvider`."""
        return EmbeddingModel(LOCAL_MODEL, DIMENSION)

    def build(self, context: ProviderContext, made: Fingerprint) -> BaseEmbedding:  # noqa: ARG002
        """See `EmbeddingProvider`."""
        if made.embedding != LOCAL_MODEL:
            raise IndexMismatch(
                f"The index was built with the local embedding {made.embedding}, which this version of "
                "Ibid does not have. Run `ibid reindex`."
            )
        return LocalEmbedding()


class LocalVerification(VerifierProvider):
    """The verifier that needs no language model."""

    def build(self, embedding: LocalEmbedding, llm: LLM) -> Verifier:  # noqa: ARG002 - it needs none
        """See `VerifierProvider`."""
        return LocalVerifier(embedding)
