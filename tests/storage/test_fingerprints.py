"""Fingerprints: who made the vectors, also in releases of earlier versions."""

import pytest

from pipelines.ingestion.fingerprint import build_fingerprint
from storage.domain import Fingerprint
from storage.embeddings.local import DIMENSION, LOCAL_MODEL


@pytest.mark.parametrize(
    ("provider", "model"), [("local", LOCAL_MODEL), ("cohere", "embed-multilingual-v3.0")]
)
def test_a_stored_fingerprint_without_a_provider_equals_one_of_today(
    provider: str, model: str
) -> None:
    today = build_fingerprint(provider, model, DIMENSION, on_disk=False, quantized=False)
    stored = today.model_dump(mode="json", exclude={"provider"})
    assert Fingerprint.model_validate(stored) == today


def test_the_same_model_of_another_provider_has_other_vectors() -> None:
    ours, theirs = (
        build_fingerprint(provider, "one", DIMENSION, on_disk=False, quantized=False)
        for provider in ("local", "cohere")
    )
    assert ours.differences(theirs) == ["provider"]
    assert not ours.shares_vectors(theirs)
    assert (ours.is_local, theirs.is_local) == (True, False)
