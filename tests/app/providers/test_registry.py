"""The registry: settings, handbook and implementations agree with it, and a row is all that it needs."""

import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from pydantic import ValidationError

from app.provider_registry import NAME_SETTINGS, PROVIDERS, Provider, choices, describe_providers
from app.settings import Settings
from storage.domain import PYTHON_PROVIDER
from storage.errors import InvalidInput

ROOT = Path(__file__).parents[3]
HANDBOOK = ROOT / "app/handbook"
TOY = '''"""A toy embedding: it counts letters."""

from llama_index.core.base.embeddings.base import BaseEmbedding

from app.providers.context import ProviderContext
from app.providers.embeddings import EmbeddingModel, EmbeddingProvider
from app.settings import Settings
from storage.domain import Fingerprint


class ToyEmbedding(BaseEmbedding):
    model_name: str = "toy/letters"

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(text.lower().count(letter)) for letter in "aeioust"]

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class Toy(EmbeddingProvider):
    def describe(self, settings: Settings) -> EmbeddingModel:
        return EmbeddingModel("toy/letters", 7)

    def build(self, context: ProviderContext, made: Fingerprint) -> BaseEmbedding:
        return ToyEmbedding()
'''
ROW = """    Provider(
        kind="embedding",
        name="toy",
        implementation="toy:Toy",
        description="Counts letters.",
    ),
"""
USE = """
import asyncio
from pathlib import Path
from app.doctor import run_checks
from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import open_services

async def main():
    settings = Settings(ibid_home="home", embedding="toy")
    async with open_services(settings) as services:
        await services.ingestion.run([Path("lamp.md")])
        (found,) = await services.search.passages(SearchRequest("paraffin", limit=1))
        print((await services.indexes.serving()).fingerprint.provider, repr(found.text))
    print(*[one.told for one in await run_checks(settings) if one.name == "embedding"])

asyncio.run(main())
"""


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: f"{row.kind}-{row.name}")
def test_a_row_names_what_exists(row: Provider) -> None:
    assert row.load()
    names = {name.upper() for name in Settings.model_fields}
    assert {*row.settings, *row.required} <= names
    assert {*row.required} <= {*row.settings}
    assert row.name != PYTHON_PROVIDER, "it means an embedding that no setting describes"


def test_no_two_rows_are_chosen_in_the_same_way() -> None:
    assert len({row.choice for row in PROVIDERS}) == len(PROVIDERS)


def test_a_setting_accepts_the_names_in_the_registry() -> None:
    for kind in NAME_SETTINGS:
        for name in choices(kind):
            assert getattr(Settings.model_validate({kind: f" {name.upper()}"}), kind) == name
        with pytest.raises(ValidationError, match=f"'{choices(kind)[0]}'"):
            Settings.model_validate({kind: "another"})


def test_a_missing_setting_is_named_with_the_choice_that_needs_it() -> None:
    for row in PROVIDERS:
        assert not row.is_configured(Settings())
        for name in row.required:
            with pytest.raises(InvalidInput, match=f"^{row.choice} needs {name}, which is not set"):
                row.check_required(Settings())


def test_the_handbook_has_the_table_of_the_providers() -> None:
    table = describe_providers()
    assert table in (HANDBOOK / "models.md").read_text(), f"Put this into models.md:\n{table}"


def test_the_handbook_names_each_choice_at_its_setting() -> None:
    lines = (HANDBOOK / "settings.md").read_text().splitlines()
    for kind, setting in NAME_SETTINGS.items():
        (line,) = (line for line in lines if line.startswith(f"| `{setting}` |"))
        assert all(f"`{name}`" in line for name in choices(kind)), line


@pytest.mark.slow
def test_one_file_and_one_row_add_an_embedding(tmp_path: Path) -> None:
    """A copy of the source, to which both are added, as CONTRIBUTING says."""
    for package in ("app", "pipelines", "storage"):
        copytree(ROOT / package, tmp_path / package, ignore=ignore_patterns("__pycache__"))
    (tmp_path / "app/providers/toy.py").write_text(TOY)
    registry = tmp_path / "app/provider_registry.py"
    start = "PROVIDERS: tuple[Provider, ...] = (\n"
    source = registry.read_text()
    assert start in source
    registry.write_text(source.replace(start, start + ROW))
    (tmp_path / "lamp.md").write_text("# Lamp\n\nThe lamp burns paraffin.\n")
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        r"toy 'Lamp\n\nThe lamp burns paraffin.'",
        "toy/letters returns 7 dimensions",
    ]
