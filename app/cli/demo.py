"""`ibid demo`: answers from Ibid's own handbook, with no API key, no server and no set-up."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.answer_output import show_answer
from app.cli.ingest import show_report
from app.cli.progress import progress_bar
from app.cli.runtime import load_settings, run_command
from app.cli.terminal import echo

if TYPE_CHECKING:
    from app.wiring import Services

HANDBOOK = Path(__file__).parent.parent / "handbook"
QUESTIONS = (
    "What is a citation?",
    "How do I ingest my own documentation?",
    "What happens when the corpus does not answer a question?",
)


@click.command()
def demo() -> None:
    """Ingest Ibid's handbook, ask three questions, and show the answers with their footnotes."""
    settings = load_settings()
    home = settings.ibid_home / "demo"
    local = settings.model_copy(
        update={
            "ibid_home": home,
            "database_url": None,
            "qdrant_url": None,
            "embedding": "local",
            "llm": "extractive",
        }
    )

    async def work(services: "Services") -> None:
        echo("Ingesting Ibid's own handbook", bold=True)
        with progress_bar("Reading", shown=True) as progress:
            report = await services.ingestion.run([HANDBOOK], "handbook", progress=progress)
        show_report(report, "handbook")
        for question in QUESTIONS:
            echo()
            echo(f"? {question}", bold=True, fg="green")
            echo()
            show_answer(await services.chat.answer(None, question))
        _show_next_steps(home)

    run_command(work, local)


def _show_next_steps(home: Path) -> None:
    echo()
    echo("Next, on your own documents:", bold=True)
    echo("  uv run ibid ingest path/to/docs --base-url https://docs.example.com")
    echo('  uv run ibid ask "a question your readers have"')
    echo("  uv run ibid serve        # the chat page and the REST API at http://127.0.0.1:8000")
    echo(f"The demo's data is in {home}. You can delete it at any time.", dim=True)
