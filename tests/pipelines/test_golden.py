"""A reader that makes something else of the same files must have a new version."""

import pytest

from pipelines.readers.registry import FORMATS
from tests.pipelines.golden.digests import (
    Digest,
    build_files,
    compute_digests,
    explain,
    read_record,
)
from tests.pipelines.pages import read_page

SUFFIXES = [one.suffixes[0] for one in FORMATS]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_output_changes_only_with_the_version(suffix: str) -> None:
    advice = explain(suffix, read_record().get(suffix), compute_digests().get(suffix))
    assert not advice, advice


def test_no_digest_is_of_a_format_that_is_gone() -> None:
    assert {*read_record()} == {*SUFFIXES}


def test_another_output_without_another_version_is_noticed() -> None:
    recorded = Digest("3.1", "a")
    assert explain(".md", recorded, recorded) == ""
    assert "increase the `version`" in explain(".md", recorded, Digest("3.1", "b"))
    assert "another version" in explain(".md", recorded, Digest("3.2", "b"))
    assert "another version" in explain(".md", None, recorded)
    assert "has no file" in explain(".md", recorded, None)


def test_the_files_are_read_with_their_headings() -> None:
    """The files exercise the readers: an empty reading would notice nothing."""
    for name, data in build_files().items():
        document = read_page(data, name)
        assert len(document.text) > 20, name
        assert len(document.sections) > 1 or document.text.count("\n"), name
