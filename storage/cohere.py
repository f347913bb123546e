"""Cohere's embeddings, with batches as large as it takes and failures told as ours."""

from typing import Any

import httpx
from cohere.core.api_error import ApiError
from llama_index.embeddings.cohere import CohereEmbedding

from storage.errors import InvalidInput, ModelUnavailable

DIMENSIONS = {
    "embed-v4.0": 1536,
    "embed-english-v3.0": 1024,
    "embed-multilingual-v3.0": 1024,
    "embed-english-light-v3.0": 384,
    "embed-multilingual-light-v3.0": 384,
}
_BATCH = 96
_SECONDS = 30.0
_REFUSED = {401, 403}
_BLANK = "."
"""Stands for a text of white space: Cohere refuses the whole batch for one empty string."""


class HostedEmbedding(CohereEmbedding):
    """Marks documents and queries as what they are; raises `ModelUnavailable`."""

    @classmethod
    def named(cls, model: str, api_key: str, base_url: str | None) -> "HostedEmbedding":
        """Makes no call."""
        return cls(  # pyright: ignore[reportCallIssue]
            api_key=api_key,
            model_name=model,
            base_url=base_url,
            embed_batch_size=_BATCH,
            max_retries=1,
            timeout=_SECONDS,  # pyright: ignore[reportCallIssue]
        )

    @classmethod
    def class_name(cls) -> str:
        """How LlamaIndex names it."""
        return "HostedEmbedding"

    def _embed(self, texts: Any = None, input_type: str = "search_document") -> list[list[float]]:
        try:
            return super()._embed(_without_blanks(texts), input_type)
        except (ApiError, httpx.HTTPError) as error:
            raise _unavailable(error) from error

    async def _aembed(
        self, texts: Any = None, input_type: str = "search_document"
    ) -> list[list[float]]:
        try:
            return await super()._aembed(_without_blanks(texts), input_type)
        except (ApiError, httpx.HTTPError) as error:
            raise _unavailable(error) from error


def dimension_of(model: str) -> int:
    """Raises `InvalidInput` for a model that is not known here."""
    if model not in DIMENSIONS:
        known = ", ".join(DIMENSIONS)
        raise InvalidInput(f"COHERE_EMBED_MODEL {model!r} is not known; use one of {known}.")
    return DIMENSIONS[model]


def _without_blanks(texts: list[str]) -> list[str]:
    return [text if text.strip() else _BLANK for text in texts]


def _unavailable(error: Exception) -> ModelUnavailable:
    status = getattr(error, "status_code", None)
    if status in _REFUSED:
        reason = "COHERE_API_KEY was refused"
    elif status is not None:
        reason = f"it answered {status}"
    else:
        reason = "the connection failed"
    return ModelUnavailable(f"Cohere did not embed: {reason}. What was there before still serves.")
