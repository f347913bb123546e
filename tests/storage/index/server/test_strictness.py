"""What a Qdrant server in strict mode would refuse of Ibid's queries, told before it does."""

import pytest
from qdrant_client import models

from storage.index.engine import MAX_CANDIDATES
from storage.index.passages import FILTER_FIELDS
from storage.index.server.conversions import strict_mode_problems


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
        ([*FILTER_FIELDS], {"enabled": True, "max_query_limit": 1_000}, ""),
        ([], {"enabled": False, "max_query_limit": 1}, ""),
        (
            ["corpus", "state"],
            {"enabled": True, "unindexed_filtering_retrieve": False},
            "edition, source_id, version",
        ),
        ([], {"enabled": True}, ""),
        ([], {"enabled": True, "unindexed_filtering_retrieve": True}, ""),
        ([*FILTER_FIELDS], {"enabled": True, "max_query_limit": 50}, "50 results"),
    ],
)
def test_only_what_would_fail_is_told(
    indexed: list[str], strict: dict[str, object], told: str
) -> None:
    complaints = strict_mode_problems(collection(indexed, **strict), FILTER_FIELDS, MAX_CANDIDATES)
    assert bool(complaints) == bool(told)
    assert told in " ".join(complaints)
