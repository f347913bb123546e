"""Read the words from model responses, one model at a time when a failed model is replaced."""

from collections.abc import AsyncGenerator, AsyncIterator

from llama_index.core.base.llms.types import ChatResponse

from app.llms.response import ResponseMetadata


class ModelStream:
    """A stream of responses, read one model at a time; `metadata` holds the latest response's metadata."""

    def __init__(self, responses: AsyncIterator[ChatResponse], model: str) -> None:
        self._responses = responses
        self._first_words = ""
        """The first words of the replacement model; they come in the response that reports the restart."""
        self.metadata = ResponseMetadata(model=model)
        self.is_complete = False

    async def words(self) -> AsyncGenerator[str]:
        """Yield words until the stream ends (then `is_complete` is true) or another model takes over."""
        if self._first_words:
            yield self._first_words
            self._first_words = ""
        async for response in self._responses:
            delta = response.delta or ""
            if isinstance(response.raw, ResponseMetadata):
                self.metadata = response.raw
                if self.metadata.restarted:
                    self._first_words = delta
                    return
            if delta:
                yield delta
        self.is_complete = True
