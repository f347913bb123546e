"""The verifier of claims."""

from typing import Protocol

from llama_index.core.llms import LLM

from app.provider_registry import find_provider
from app.settings import Settings
from app.verification import Verifier
from storage.embeddings.local import LocalEmbedding


class VerifierProvider(Protocol):
    """The implementation of a row of the kind `verifier`."""

    def build(self, embedding: LocalEmbedding, llm: LLM) -> Verifier:
        """Build the verifier; `llm` is the model that writes the answers."""
        ...


def build_verifier(settings: Settings, embedding: LocalEmbedding, llm: LLM) -> Verifier:
    """Build the configured verifier. The default compares words, numbers and names, without an LLM."""
    row = find_provider("verifier", settings.verifier)
    if row is None:
        raise AssertionError("the settings accept only names in the registry")
    row.check_required(settings)
    provider: VerifierProvider = row.load()
    return provider.build(embedding, llm)
