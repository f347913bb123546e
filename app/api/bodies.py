"""Bodies of requests."""

from typing import Any

from litestar import Request

from storage.errors import InvalidInput


class JSONRequest(Request[Any, Any, Any]):
    """Litestar's own request, which would take JSON that is nested too deeply for a fault of ours."""

    async def json(self) -> Any:
        """Raises `InvalidInput` for such a body."""
        try:
            return await super().json()
        except RecursionError as error:
            raise InvalidInput("The body is JSON that is nested too deeply.") from error
