"""Parse JSON from external services."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Return the parsed value. Raises `ValueError` for invalid JSON, also if it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
