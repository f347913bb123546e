"""What a Qdrant server in strict mode would refuse of Ibid's queries, told before it does."""

import pytest
from qdrant_client import models

from storage.index.engine import MOST_CANDIDATES
from storage.index.passages import FILTERED
from storage.index.server.conversions import refused


def collection(indexed: list[str], **strict: object) -> models.CollectionInfo:
    """As a server describes one."""
    schema = models.PayloadIndexInfo(data_type=models.PayloadSchemaType.KEYWORD, points=0)
    return models.CollectionInfo.model_construct(
        config=models.CollectionConfig.model_construct(
            strict_mode_config=models.StrictModeConfigOutput.model_validate(strict)
        ),
        payload_schema=dict.fromkeys(indexed, schema),
    )


@pytest.mark.parametrize(
    ("indexed", "strict", "told"),
    [
        ([*FILTERED], {"enabled": True, "max_query_limit": 1_000}, ""),
        ([], {"enabled": False, "max_query_limit": 1}, ""),
        (
            ["corpus", "state"],
            {"enabled": True, "unindexed_filtering_retrieve": False},
            "edition, source_id, version",
        ),
        ([], {"enabled": True}, ""),
        ([], {"enabled": True, "unindexed_filtering_retrieve": True}, ""),
        ([*FILTERED], {"enabled": True, "max_query_limit": 50}, "50 results"),
    ],
)
def test_only_what_would_fail_is_told(
    indexed: list[str], strict: dict[str, object], told: str
) -> None:
    complaints = refused(collection(indexed, **strict), FILTERED, MOST_CANDIDATES)
    assert bool(complaints) == bool(told)
    assert told in " ".join(complaints)
