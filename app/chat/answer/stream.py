"""Read the words from model responses, one model at a time when a failed model is replaced."""

from collections.abc import AsyncGenerator, AsyncIterator

from llama_index.core.base.llms.types import ChatResponse

from app.llms.response import ResponseMetadata


class ModelStream:
    """A stream of responses, read one model at a time; `spoken` holds the latest response's metadata."""

    def __init__(self, responses: AsyncIterator[ChatResponse], model: str) -> None:
        self._responses = responses
        self._opening = ""
        """The first words of the replacement model; they come in the response that reports the restart."""
        self.spoken = ResponseMetadata(model=model)
        self.is_over = False

    async def words(self) -> AsyncGenerator[str]:
        """Yield words until the stream ends (then `is_over` is true) or another model takes over."""
        if self._opening:
            yield self._opening
            self._opening = ""
        async for response in self._responses:
            delta = response.delta or ""
            if isinstance(response.raw, ResponseMetadata):
                self.spoken = response.raw
                if self.spoken.restarted:
                    self._opening = delta
                    return
            if delta:
                yield delta
        self.is_over = True
