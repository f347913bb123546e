"""The verifier that asks the language model."""

from llama_index.core.llms import LLM

from app.providers.verifiers import VerifierProvider
from app.verification import Verifier
from app.verification.llm_judge import LLMJudge
from storage.embeddings.local import LocalEmbedding


class LLMJudgement(VerifierProvider):
    """The model that writes the answers, as a judge of claims."""

    def build(self, embedding: LocalEmbedding, llm: LLM) -> Verifier:  # noqa: ARG002 - it embeds nothing
        """See `VerifierProvider`."""
        return LLMJudge(llm)
