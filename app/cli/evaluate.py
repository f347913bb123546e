"""`ibid eval`: how well Ibid finds what answers a question, on questions whose answers are known."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from app.cli.ingest import progress_bar
from app.cli.running import MISUSED, echo_json, fail, load_settings, run

if TYPE_CHECKING:
    from app.evaluation.retrieval import Evaluation
    from app.settings import Settings
    from app.wiring import Services

_folder = click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
_file = click.Path(path_type=Path, dir_okay=False)


@click.group("eval")
def evaluate() -> None:
    """Measure retrieval on golden sets, make one, and show what was measured."""


@evaluate.command("retrieval")
@_folder
@click.option("--corpus", help="Search this corpus as it serves, not the set's own documents.")
@click.option("--language", help="ISO 639 code of the documents; else told by their words.")
@click.option("--against", type=_file, help="Compare with what --json printed earlier.")
@click.option("--per-query", type=_file, help="Write every question's result to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the measures as JSON.")
def retrieval(
    folder: Path,
    corpus: str | None,
    language: str | None,
    against: Path | None,
    per_query: Path | None,
    as_json: bool,
) -> None:
    """Rank documents for the questions of FOLDER.

    It has BEIR's layout: corpus.jsonl, queries.jsonl, qrels/test.tsv. The documents are ingested as
    any others, into a home that is removed afterwards, with the embedding that is set.
    """
    earlier = _metrics(against) if against else {}
    with TemporaryDirectory(prefix="ibid-eval-") as scratch:
        home = Path(scratch).resolve()

        async def work(services: "Services") -> None:
            result = await _measured(services, folder, home, corpus, language, shown=not as_json)
            if per_query:
                _write_questions(per_query, result)
            _tell(result, earlier, as_json=as_json)

        run(work, load_settings() if corpus else _apart(home))


async def _measured(
    services: "Services",
    folder: Path,
    home: Path,
    corpus: str | None,
    language: str | None,
    *,
    shown: bool,
) -> "Evaluation":
    from app.evaluation import retrieval, staging  # noqa: PLC0415 - LlamaIndex takes a second
    from app.evaluation.golden import read_golden  # noqa: PLC0415

    golden, name = read_golden(folder), retrieval.by_url
    if corpus is None:
        with progress_bar("Ingesting", shown=shown) as progress:
            name = await staging.ingest_documents(
                services.ingestion,
                services.library,
                folder,
                golden,
                home / "documents",
                language,
                progress,
            )
    with progress_bar("Searching", shown=shown, unit="questions") as progress:
        corpora = [corpus or staging.CORPUS]
        return await retrieval.evaluate(services.search, golden, name, corpora, progress)


def _apart(home: Path) -> "Settings":
    """The settings of the machine, in a home of its own."""
    away = {"ibid_home": home / "home", "database_url": None, "qdrant_url": None}
    return load_settings().model_copy(update=away)


def _metrics(path: Path) -> dict[str, float]:
    try:
        return {key: float(value) for key, value in json.loads(path.read_text())["metrics"].items()}
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}.", MISUSED)
    except (ValueError, KeyError, TypeError, AttributeError):
        fail(f"{path} is not what `ibid eval retrieval --json` prints.", MISUSED)


def _write_questions(path: Path, result: "Evaluation") -> None:
    lines = [f"{question.model_dump_json()}\n" for question in result.questions]
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.", MISUSED)


def _tell(result: "Evaluation", earlier: Mapping[str, float], *, as_json: bool) -> None:
    differences = {
        name: value - earlier[name] for name, value in result.metrics.items() if name in earlier
    }
    if as_json:
        compared = {"against": earlier, "differences": differences} if earlier else {}
        count = len(result.questions)
        echo_json({"metrics": result.metrics, "questions": count, **compared})
        return
    for name, value in result.metrics.items():
        difference = f"  {differences[name]:+.4f}" if name in differences else ""
        click.echo(f"{name:<12}{value:.4f}{difference}")
    click.secho(f"{len(result.questions)} questions", dim=True)
