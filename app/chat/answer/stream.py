"""A model's responses as words; when one breaks off, the words of the next begin."""

from collections.abc import AsyncGenerator, AsyncIterator

from llama_index.core.base.llms.types import ChatResponse

from app.llms.response import ResponseMetadata


class ModelStream:
    """Heard one model at a time; `spoken` is what the last of them carried besides words."""

    def __init__(self, responses: AsyncIterator[ChatResponse], model: str) -> None:
        self._responses = responses
        self._opening = ""
        """Of the model that took over: it came with the news that the one before broke off."""
        self.spoken = ResponseMetadata(model=model)
        self.is_over = False

    async def words(self) -> AsyncGenerator[str]:
        """Up to the end, when it `is_over`, or to where another model takes over."""
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
