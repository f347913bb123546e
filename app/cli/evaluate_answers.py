"""`ibid eval claims` and `ibid eval answers`: measure verdicts and answers."""

from pathlib import Path

import click

from app.cli.progress import progress_bar
from app.cli.runtime import run_command
from app.cli.temporary_home import isolated_settings, temporary_folder
from app.cli.terminal import echo, echo_json
from app.evaluation.answers import (
    build_document_namer,
    evaluate_answers,
    read_questions,
    write_documents,
)
from app.evaluation.claims import evaluate_claims, read_claims
from app.wiring import Services
from storage.domain import Value

_as_json = click.option("--json", "as_json", is_flag=True, help="Print the measures as JSON.")


@click.command("claims")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_as_json
def claims(file: Path, as_json: bool) -> None:
    """Verify the labelled claims in FILE: one JSON object per line with `claim`, `evidence` and `label`."""
    with temporary_folder() as home:

        async def work(services: Services) -> None:
            result = await evaluate_claims(services.verifier, read_claims(file))
            _show(result, result.metrics, result.labels, as_json=as_json)

        run_command(work, isolated_settings(home))


@click.command("answers")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@_as_json
def answers(folder: Path, as_json: bool) -> None:
    """Answer the questions of FOLDER from its own documents.

    FOLDER has BEIR's layout. The queries have `answerable` and `answer` in their metadata.
    """
    with temporary_folder() as home:

        async def work(services: Services) -> None:
            questions = read_questions(folder)
            documents = write_documents(folder, home / "documents")
            with progress_bar("Ingesting", shown=not as_json) as progress:
                await services.ingestion.run(documents, "known", progress=progress)
            with progress_bar("Asking", shown=not as_json) as progress:
                name = build_document_namer(folder)
                result = await evaluate_answers(
                    services.turns.engine, services.library, ["known"], questions, name, progress
                )
            _show(result, result.metrics, result.confusion, as_json=as_json)

        run_command(work, isolated_settings(home))


def _show(
    result: Value,
    metrics: dict[str, float],
    counts: dict[str, dict[str, int]],
    *,
    as_json: bool,
) -> None:
    if as_json:
        echo_json(result.model_dump(mode="json"))
        return
    for name, value in metrics.items():
        echo(f"{name:<24}{value:.4f}")
    for label, row in counts.items():
        echo(f"{label:<24}{', '.join(f'{count} {name}' for name, count in row.items())}")
