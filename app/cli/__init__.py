"""The command line: `ibid COMMAND`. The module of a command is imported when the command is called."""

import click

from app.cli.lazy_group import LazyGroup
from storage.private import set_private_umask

_SECTIONS = {
    "Getting started": {
        "demo": ("app.cli.demo.demo", "Try Ibid on its own handbook, without any set-up."),
        "plan": ("app.cli.plan.plan", "Estimate what ingesting files needs."),
        "ingest": ("app.cli.ingest.ingest", "Ingest files and folders into a corpus."),
        "ask": ("app.cli.ask.ask", "Answer a question, with footnotes."),
        "search": ("app.cli.ask.search", "Find the passages for a query."),
        "serve": ("app.cli.serve.serve", "Serve the chat page and the REST API."),
    },
    "Content": {
        "corpora": ("app.cli.corpora.corpora", "List, create, change and delete corpora."),
        "cite": ("app.cli.cite.cite", "Print the citations of an answer."),
        "gaps": ("app.cli.cite.gaps", "Show the questions that had no answer."),
    },
    "Releases of the index": {
        "reindex": ("app.cli.releases.reindex", "Build a release and activate it."),
        "releases": ("app.cli.releases.releases", "List the releases."),
        "rollback": ("app.cli.releases.rollback", "Activate an earlier release again."),
    },
    "Background jobs": {
        "jobs": ("app.cli.jobs.jobs", "List, show and cancel jobs."),
        "worker": ("app.cli.worker.worker", "Run jobs until it is stopped."),
    },
    "Administration": {
        "doctor": ("app.cli.doctor.doctor", "Check the configuration and all services."),
        "usage": ("app.cli.usage.usage", "Show the costs of models."),
        "keys": ("app.cli.users.keys", "Create, list and revoke API keys."),
        "users": ("app.cli.users.users", "List and delete users, and set their roles."),
        "db": ("app.cli.db.db", "Upgrade or check the database schema."),
    },
    "Quality": {
        "eval": ("app.cli.evaluate.evaluate", "Measure retrieval, answers and verdicts."),
    },
}


@click.group(
    cls=LazyGroup,
    sections=_SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="ibid")
def main() -> None:
    """Answer questions from your documentation. Every claim has a footnote that opens the exact words."""
    set_private_umask()
