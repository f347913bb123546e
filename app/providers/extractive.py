"""The extractive model, which needs no key and no server."""

from collections.abc import Sequence

from llama_index.core.llms import LLM

from app.llms.extractive_model.model import ExtractiveLLM
from app.providers.context import ProviderContext
from app.providers.findings import Finding, Findings
from app.providers.llms import LLMProvider
from storage.embeddings.local import LocalEmbedding


class Extractive(LLMProvider):
    """The extractive model. Its embedding is always local, as it embeds about 40 candidates."""

    def models(self, context: ProviderContext) -> Sequence[LLM]:  # noqa: ARG002 - it reads no settings
        """See `LLMProvider`."""
        return [ExtractiveLLM(embedding=LocalEmbedding())]

    async def check(self, context: ProviderContext) -> Findings:  # noqa: ARG002 - it cannot fail
        """See `LLMProvider`."""
        yield Finding(name="models", state="ok", told="extractive, which needs no service")
