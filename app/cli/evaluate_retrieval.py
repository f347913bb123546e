"""`ibid eval retrieval`, `make` and `report`: measure retrieval with golden sets."""

from collections.abc import Mapping
from pathlib import Path

import click
from pydantic import ValidationError

from app.cli.progress import progress_bar
from app.cli.runtime import EXIT_MISUSED, fail, load_settings, run_command
from app.cli.temporary_home import isolated_settings, temporary_folder
from app.cli.terminal import echo, echo_json
from app.evaluation import beir_import
from app.evaluation.golden import read_golden
from app.evaluation.golden_generation import generate_golden, write_golden
from app.evaluation.report import build_report
from app.evaluation.retrieval import Evaluation, evaluate, page_url, read_evaluation
from app.wiring import Services
from storage.json_parsing import parse_json

_folder = click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
_new_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)


@click.command("retrieval")
@_folder
@click.option("--corpus", help="Search this corpus instead of the documents of FOLDER.")
@click.option("--language", help="ISO 639 code of the documents; by default it is detected.")
@click.option("--against", type=_file, help="Compare with this earlier output of --json.")
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

    FOLDER has BEIR's layout: corpus.jsonl, queries.jsonl, qrels/test.tsv. The documents are ingested like
    any others, with the configured embedding, into a temporary home that is removed afterwards.
    """
    earlier = _metrics(against) if against else {}
    with temporary_folder() as home:

        async def work(services: Services) -> None:
            result = await _measure(services, folder, home, corpus, language, shown=not as_json)
            if per_query:
                _write_questions(per_query, result)
            _show(result, earlier, as_json=as_json)

        run_command(work, load_settings() if corpus else isolated_settings(home))


@click.command("make")
@click.argument("corpus")
@click.option(
    "--out", type=_new_folder, help="Folder to write to; default: golden/CORPUS in IBID_HOME."
)
def make(corpus: str, out: Path | None) -> None:
    """Write a golden set for CORPUS. Its headings become questions, marked as generated.

    Edit the set: questions that people asked are worth far more. If it is in `IBID_HOME` under
    golden/CORPUS, `ibid reindex` tests new releases with it. Measure with
    `ibid eval retrieval FOLDER --corpus CORPUS`.
    """
    settings = load_settings()
    folder = out or settings.golden_folder / corpus

    async def work(services: Services) -> None:
        golden = await generate_golden(services.search, services.indexes, corpus)
        write_golden(golden, folder)
        echo(f"Wrote {len(golden.questions)} generated questions to {folder}.")

    run_command(work, settings)


@click.command("report")
@click.argument("measured", type=_file)
@click.option("--against", type=_file, help="Compare with this earlier output of --json.")
@click.option("--out", type=_file, default=Path("evaluation.html"), show_default=True)
def report(measured: Path, against: Path | None, out: Path) -> None:
    """Write an HTML page with plots of MEASURED, a file that `--per-query` wrote."""
    earlier = _metrics(against) if against else {}
    try:
        evaluation = read_evaluation(measured.read_text(encoding="utf-8"))
        html = build_report(f"Retrieval: {measured.stem}", evaluation, earlier)
        out.write_text(html, encoding="utf-8")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}.", EXIT_MISUSED)
    except (ValidationError, UnicodeDecodeError):
        fail(
            f"{measured} is not a file that `ibid eval retrieval --per-query` wrote.", EXIT_MISUSED
        )
    echo(f"Wrote {out}.")


async def _measure(
    services: Services,
    folder: Path,
    home: Path,
    corpus: str | None,
    language: str | None,
    *,
    shown: bool,
) -> Evaluation:
    golden, name = read_golden(folder), page_url
    if corpus is None:
        with progress_bar("Ingesting", shown=shown) as progress:
            name = await beir_import.ingest_documents(
                services.ingestion,
                services.library,
                folder,
                golden,
                home / "documents",
                language,
                progress,
            )
    with progress_bar("Searching", shown=shown, unit="questions") as progress:
        corpora = [corpus or beir_import.CORPUS]
        return await evaluate(services.search, golden, name, corpora, progress)


def _metrics(path: Path) -> dict[str, float]:
    try:
        return {
            key: float(value) for key, value in parse_json(path.read_bytes())["metrics"].items()
        }
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}.", EXIT_MISUSED)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        fail(f"{path} is not an output of `ibid eval retrieval --json`.", EXIT_MISUSED)


def _write_questions(path: Path, result: Evaluation) -> None:
    lines = [f"{question.model_dump_json()}\n" for question in result.questions]
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.", EXIT_MISUSED)


def _show(result: Evaluation, earlier: Mapping[str, float], *, as_json: bool) -> None:
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
        echo(f"{name:<12}{value:.4f}{difference}")
    echo(f"{len(result.questions)} questions", dim=True)
