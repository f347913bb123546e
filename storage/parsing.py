"""JSON from outside."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """What it says. Raises `ValueError` for whatever cannot be read, also when it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
