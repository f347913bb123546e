"""`ibid eval`: how well Ibid does, on sets whose answers are known."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from app.cli.ingest import progress_bar
from app.cli.running import echo_json, load_settings, run

if TYPE_CHECKING:
    from app.settings import Settings
    from app.wiring import Services
    from storage.domain import Value

_as_json = click.option("--json", "as_json", is_flag=True, help="Print the measures as JSON.")


@click.group("eval")
def evaluate() -> None:
    """Measure verdicts and answers on sets whose answers are known."""


@evaluate.command("claims")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_as_json
def claims(file: Path, as_json: bool) -> None:
    """Judge the labelled claims of FILE: lines of JSON with `claim`, `evidence` and `label`."""
    with TemporaryDirectory(prefix="ibid-eval-", ignore_cleanup_errors=True) as scratch:

        async def work(services: "Services") -> None:
            from app.evaluation.claims import evaluate_claims, read_claims  # noqa: PLC0415

            result = await evaluate_claims(services.verifier, read_claims(file))
            _show(result, result.metrics, result.labels, as_json=as_json)

        run(work, _apart(Path(scratch)))


@evaluate.command("answers")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@_as_json
def answers(folder: Path, as_json: bool) -> None:
    """Ask the questions of FOLDER, which has BEIR's layout, over its own documents.

    Queries have `answerable` and `answer` in their metadata.
    """
    with TemporaryDirectory(prefix="ibid-eval-", ignore_cleanup_errors=True) as scratch:
        home = Path(scratch).resolve()

        async def work(services: "Services") -> None:
            from app.evaluation import answers  # noqa: PLC0415 - LlamaIndex takes a second

            questions = answers.read_questions(folder)
            documents = answers.write_documents(folder, home / "documents")
            with progress_bar("Ingesting", shown=not as_json) as progress:
                await services.ingestion.run(documents, "known", progress=progress)
            with progress_bar("Asking", shown=not as_json) as progress:
                name = answers.naming(folder)
                result = await answers.evaluate_answers(
                    services.turns, services.library, ["known"], questions, name, progress
                )
            _show(result, result.metrics, result.confusion, as_json=as_json)

        run(work, _apart(home))


def _apart(home: Path) -> "Settings":
    """The settings of the machine, in a home of its own."""
    away = {"ibid_home": home / "home", "database_url": None, "qdrant_url": None}
    return load_settings().model_copy(update=away)


def _show(
    result: "Value",
    metrics: dict[str, float],
    counts: dict[str, dict[str, int]],
    *,
    as_json: bool,
) -> None:
    if as_json:
        echo_json(result.model_dump(mode="json"))
        return
    for name, value in metrics.items():
        click.echo(f"{name:<24}{value:.4f}")
    for label, row in counts.items():
        click.echo(f"{label:<24}{', '.join(f'{count} {name}' for name, count in row.items())}")
