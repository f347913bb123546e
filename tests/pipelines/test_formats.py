"""Tests of the table of formats: everything that depends on a format is derived from its row."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.ingestion.fingerprint import build_fingerprint
from pipelines.readers import SUFFIXES, UNSUPPORTED, find_format, size_limit
from pipelines.readers.registry import (
    FORMATS,
    SUFFIXES_WITHOUT_FRAGMENTS,
    FileFormat,
    combined_version,
    format_names,
)
from tests.app.cli.commands import run_ibid

HANDBOOK = (Path(__file__).parents[2] / "app/handbook/ingesting.md").read_text()


def test_the_handbook_lists_the_formats() -> None:
    rows = [
        f"| {one.name[0].upper()}{one.name[1:]} | {', '.join(f'`{s}`' for s in one.suffixes)} "
        f"| {one.largest // 1_000_000} MB |"
        for one in FORMATS
    ]
    table = "\n".join(("| Type | Endings | Largest file |", "|---|---|---|", *rows))
    sentence = f"The supported file types are {format_names()}:"
    assert table in HANDBOOK, f"app/handbook/ingesting.md needs this table:\n{table}"
    assert sentence in " ".join(HANDBOOK.split()), f"app/handbook/ingesting.md: {sentence}"


def test_the_help_of_ingest_names_the_formats(tmp_path: Path) -> None:
    shown = run_ibid(tmp_path, "ingest", "--help").stdout
    assert f"The formats are {format_names()}." in " ".join(shown.split())


def test_each_suffix_belongs_to_one_format() -> None:
    suffixes = [suffix for one in FORMATS for suffix in one.suffixes]
    assert len(suffixes) == len(SUFFIXES)
    assert SUFFIXES.isdisjoint(UNSUPPORTED)
    for suffix in suffixes:
        assert suffix == suffix.lower()
        assert suffix.startswith(".")
        found = find_format(suffix.upper())
        assert found is not None
        assert suffix in found.suffixes
        assert size_limit(suffix) == found.largest


def test_links_to_text_and_pdf_have_no_fragments() -> None:
    assert {*SUFFIXES_WITHOUT_FRAGMENTS} == {".txt", ".text", ".rst", ".pdf"}


def test_the_fingerprint_of_earlier_indexes_is_kept() -> None:
    """Indexes that were built before each reader had a version must not look outdated."""
    built = build_fingerprint("any", "any", 8, on_disk=False, quantized=False)
    unchanged = tuple(replace(one, version=1) for one in FORMATS)
    assert built.reader == combined_version()
    assert combined_version(unchanged) == "3"


@pytest.mark.parametrize("raised", FORMATS, ids=lambda one: one.name)
def test_a_raised_version_changes_the_fingerprint(raised: FileFormat) -> None:
    formats = [replace(one, version=2 if one is raised else 1) for one in FORMATS]
    versions = {combined_version(formats), combined_version(formats[::-1])}
    assert len(versions) == 1
    assert versions != {"3"}


def test_a_new_format_does_not_change_the_fingerprint() -> None:
    unchanged = [replace(one, version=1) for one in FORMATS]
    added = replace(FORMATS[0], name="AsciiDoc", suffixes=(".adoc",), version=1)
    assert combined_version([*unchanged, added]) == combined_version(unchanged)
