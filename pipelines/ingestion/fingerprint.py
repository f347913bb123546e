"""What makes one index incompatible with another, as this version of Ibid would build it."""

from typing import Literal

from storage.domain import Fingerprint
from storage.index.passages import FIELDS

READER = "3"
"""Raised whenever the same bytes would come out as another canonical text."""
SPLITTER = "1"
"""Raised whenever the same canonical text would be cut into other passages."""


def fingerprint(
    embedding: str,
    dimension: int,
    *,
    embedding_type: Literal["float", "int8"] = "float",
    on_disk: bool,
    quantized: bool,
) -> Fingerprint:
    """Of a release built now with this embedding."""
    return Fingerprint(
        reader=READER,
        splitter=SPLITTER,
        embedding=embedding,
        dimension=dimension,
        embedding_type=embedding_type,
        fields=FIELDS,
        on_disk=on_disk,
        quantized=quantized,
    )
