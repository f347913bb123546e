"""How a long list is read: numbers that SQL can count to."""

from typing import Annotated

from litestar.params import QueryParameter

LARGEST = 2**31 - 1
"""What an integer column holds."""

Offset = Annotated[int, QueryParameter(ge=0, le=LARGEST)]
"""How many to skip."""
