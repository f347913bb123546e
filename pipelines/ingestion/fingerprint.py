"""The fingerprint of an index: the settings and versions that make two indexes incompatible."""

from typing import Literal

from pipelines.readers.registry import combined_version
from storage.domain import Fingerprint
from storage.index.passages import FIELDS

SPLITTER = "1"
"""Increase it when a change splits the same canonical text into other passages."""


def build_fingerprint(
    provider: str,
    embedding: str,
    dimension: int,
    *,
    embedding_type: Literal["float", "int8"] = "float",
    on_disk: bool,
    quantized: bool,
) -> Fingerprint:
    """Return the fingerprint of a release that this version of Ibid builds with the embedding."""
    return Fingerprint(
        reader=combined_version(),
        splitter=SPLITTER,
        provider=provider,
        embedding=embedding,
        dimension=dimension,
        embedding_type=embedding_type,
        fields=FIELDS,
        on_disk=on_disk,
        quantized=quantized,
    )
