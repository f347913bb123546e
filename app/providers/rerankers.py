"""The reranker: the one that is configured, or a LlamaIndex postprocessor given in Python."""

from typing import TYPE_CHECKING, Protocol

from app.provider_registry import providers
from app.providers.context import ProviderContext
from storage.rerankers import Reranker
from storage.rerankers.postprocessor import PostprocessorReranker

if TYPE_CHECKING:
    from llama_index.core.postprocessor.types import BaseNodePostprocessor


class RerankerProvider(Protocol):
    """The implementation of a row of the kind `reranker`."""

    def build(self, context: ProviderContext) -> Reranker:
        """Build the reranker that the settings describe, without a request."""
        ...


def build_reranker(
    context: ProviderContext, given: "BaseNodePostprocessor | None" = None
) -> Reranker | None:
    """Build the given or configured reranker, or return None; raise `InvalidInput` without its key."""
    if given is not None:
        return PostprocessorReranker(given)
    for row in providers("reranker"):
        if value := getattr(context.settings, row.chosen_by.lower()):
            row.check_required(context.settings, f"{row.choice}={value}")
            provider: RerankerProvider = row.load()
            return provider.build(context)
    return None
